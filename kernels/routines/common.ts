/**
 * What the routines share: working matrices in storage, one group a matrix, Jacobi pairs.
 * @module
 */
import { countOf } from "../../dsl/core/shape.ts";
import type { Dim, Term, TermOf } from "../../dsl/core/term.ts";
import {
  type Arr,
  bin,
  type Expr,
  int,
  load,
  num,
  select,
  un,
  variable,
} from "../../compiler/ir/expr.ts";
import { GROUP } from "../../compiler/ir/stmt.ts";
import { Builder, type Context, type Plan, type Step, unravel } from "../../compiler/kernel.ts";

/** A matrix of the group in some array, row-major. */
export interface Mat {
  readonly get: (i: Expr, j: Expr) => Expr;
  readonly set: (i: Expr, j: Expr, value: Expr) => void;
}

/** Everything a routine works with. */
export interface Bench {
  readonly b: Builder;
  /** Rows (may be dynamic) and columns of the argument. */
  readonly m: Expr;
  readonly n: number;
  /** Element of the argument of this group's matrix. */
  readonly arg: (i: Expr, j: Expr) => Expr;
  /** Working matrix with `rows` rows and `cols` columns a group. */
  readonly work: (name: string, rows: Dim, cols: number) => Mat;
  /** Result by name, if the program asked for it: `set(i, j)` on its last two (or one) axes. */
  readonly result: (project: string) => ((i: Expr, j: Expr, value: Expr) => void) | undefined;
  readonly shared: (
    name: string,
    length: number,
  ) => { get: (i: Expr) => Expr; set: (i: Expr, v: Expr) => void };
  readonly finish: () => Step[];
}

/** Opens a routine's kernel. */
export const bench = (plan: Plan, context: Context): Bench => {
  const roots = plan.roots as readonly (Term & TermOf<"routine">)[];
  const [arg] = roots[0].args;
  const b = new Builder(context);
  const { low } = b;
  b.read([arg]);
  const batch = arg.shape.slice(0, -2);
  const rows = arg.shape[arg.shape.length - 2];
  const n = arg.shape[arg.shape.length - 1] as number;
  const group = variable(GROUP, "i32", { lo: 0 });
  const lead = unravel(group, low.dims(batch));
  const at = (arr: Arr, base: Expr, cols: number) => ({
    get: (i: Expr, j: Expr): Expr =>
      load(arr, bin("add", base, bin("add", bin("mul", i, int(cols)), j))),
    set: (i: Expr, j: Expr, value: Expr): void =>
      low.store(arr, bin("add", base, bin("add", bin("mul", i, int(cols)), j)), value),
  });
  const outs = new Map(
    roots.map((r) => [r.project, { arr: b.write(r), shape: r.shape.slice(batch.length) }]),
  );
  return {
    b,
    m: b.size(rows),
    n,
    arg: (i, j) => low.at(arg, [...lead, i, j]),
    work: (name, r, cols) => {
      const arr = b.scratch(`${name}${roots[0].id}_`, (s) => countOf([...batch, r, cols], s), true);
      return at(arr, bin("mul", group, bin("mul", b.size(r), int(cols))), cols);
    },
    result: (project) => {
      const out = outs.get(project);
      if (out === undefined) return undefined;
      const cols = out.shape.length === 2 ? out.shape[1] as number : 1;
      return at(out.arr, bin("mul", group, b.count(out.shape)), cols).set;
    },
    shared: (name, length) => {
      const arr = b.local(name, length);
      return { get: (i) => load(arr, i), set: (i, v) => low.store(arr, i, v) };
    },
    finish: () => [b.finish(context.name, "routine", (s) => countOf(batch, s))],
  };
};

/** Largest |a| of the argument, at least the smallest number whose inverse is finite. */
export const largest = ({ b, arg, m, n }: Bench, store: (v: Expr) => void): void => {
  b.low.par("one", int(1), () => {
    const top = b.low.mutable("top", num(1e-37));
    b.low.loop(
      "i",
      int(0),
      m,
      1,
      (i) =>
        b.low.loop(
          "j",
          int(0),
          int(n),
          1,
          (j) => top.set(bin("max", top.get(), un("abs", arg(i, j)))),
        ),
    );
    store(top.get());
  });
};

/** Pair k of round r of a tournament of n columns: every pair meets once in n − 1 rounds. */
export const pairOf = (n: number, r: Expr, k: Expr): { p: Expr; q: Expr; real: Expr } => {
  const even = n + n % 2;
  const cycle = int(even - 1);
  const first = bin("eq", k, int(0));
  const a = select(first, cycle, bin("rem", bin("add", r, k), cycle));
  const c = select(first, r, bin("rem", bin("sub", bin("add", r, cycle), k), cycle));
  const q = bin("max", a, c);
  return { p: bin("min", a, c), q, real: bin("lt", q, int(n)) };
};

/** Cosine and sine that annul z between diagonal entries x and y; no rotation where z is 0. */
export const rotation = (x: Expr, y: Expr, z: Expr, skip: Expr): { c: Expr; s: Expr } => {
  const zeta = bin("div", bin("sub", y, x), bin("mul", num(2), select(skip, num(1), z)));
  const sign = select(bin("lt", zeta, num(0)), num(-1), num(1));
  const root = un("sqrt", bin("add", num(1), bin("mul", zeta, zeta)));
  const t = bin("div", sign, bin("add", un("abs", zeta), root));
  const c = bin("div", num(1), un("sqrt", bin("add", num(1), bin("mul", t, t))));
  return { c: select(skip, num(1), c), s: select(skip, num(0), bin("mul", c, t)) };
};

/** Element (i, j) of the identity. */
export const identityAt = (i: Expr, j: Expr): Expr => {
  const apart = bin("sub", i, j);
  return un("toF32", bin("sub", int(1), bin("min", int(1), bin("mul", apart, apart))));
};

/** Runs `round` for every round of every sweep; one column has nothing to meet. */
export const eachRound = ({ b, n }: Bench, round: (r: Expr) => void): void => {
  const rounds = n + n % 2 - 1;
  b.low.loop(
    "sweep",
    int(0),
    int(n > 1 ? SWEEPS : 0),
    1,
    () => b.low.loop("round", int(0), int(rounds), 1, round),
  );
};

/** Sweeps of a Jacobi iteration: 7 or 8 converge in f32, the rest is margin. */
export const SWEEPS = 11;

/** Position of column j when values descend. */
export const rankOf = (b: Builder, n: number, value: (j: Expr) => Expr, j: Expr): Expr => {
  const mine = b.low.named("mine", value(j));
  const rank = b.low.mutable("rank", int(0));
  b.low.loop("i", int(0), int(n), 1, (i) => {
    const other = b.low.named("other", value(i));
    const tie = select(bin("eq", other, mine), select(bin("lt", i, j), int(1), int(0)), int(0));
    rank.set(bin("add", rank.get(), select(bin("lt", mine, other), int(1), tie)));
  });
  return rank.get();
};
