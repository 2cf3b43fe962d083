/**
 * `contract`: a matrix product in tiles of registers, with what follows it fused in.
 *
 * ```text
 * a tile of MR × NR results a lane:
 *   lanes along k (both operands lie along k): acc[i][j] += a4[i] * b4[j];   result = Σ lanes
 *   lanes along n (b lies along n):            acc[i][j4] += splat(a[i]) * b4[j]
 * store(epilogue(result))
 * ```
 * Tiles go down the rows first: what is read of b stays close. On a CPU, columns along n are copied side
 * by side once for all rows. One row (a matrix times a vector) is as many columns at a time as memory
 * has streams.
 * Ladder: one product a lane → tiles of registers → columns in group memory. Not yet: blocks of k.
 * @module
 */
import { countOf, isDynamic, knownCount } from "../dsl/core/shape.ts";
import type { Dim, Shape, Term, TermOf } from "../dsl/core/term.ts";
import {
  bin,
  type Expr,
  int,
  lane as laneOf,
  load,
  madd,
  num,
  un,
  variable,
} from "../compiler/ir/expr.ts";
import { GROUP, type Size } from "../compiler/ir/stmt.ts";
import { Builder, type Skeleton, unravel } from "../compiler/kernel.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { tallOf } from "../compiler/lower/tall.ts";
import { normalisedSteps } from "./normalised.ts";
import { reduceSkeleton } from "./reduce.ts";
import { tallSteps } from "./tall.ts";
import { constantSource } from "../compiler/lower/memory.ts";

/** Rows of a tile, and columns of one with a single row: as many streams of memory. */
const [ROWS, STREAMS] = [4, 8];
/** Tiles of registers that one group makes. */
const TILES = 64;

/** Labels by the part they play: batch (both and result), m, n, and contracted. */
interface Roles {
  readonly batch: readonly string[];
  readonly m: readonly string[];
  readonly n: readonly string[];
  readonly k: readonly string[];
}

const rolesOf = (
  { args: [a, b], out }: { args: readonly (readonly string[])[]; out: readonly string[] },
): Roles => ({
  batch: out.filter((l) => a.includes(l) && b.includes(l)),
  m: out.filter((l) => a.includes(l) && !b.includes(l)),
  n: out.filter((l) => !a.includes(l) && b.includes(l)),
  k: [...new Set([...a, ...b])].filter((l) => !out.includes(l)),
});

/** The contraction inside the root; the root is it, or what follows it. */
const productOf = (root: Term, staged: readonly Term[]): TermOf<"contract"> => {
  const product = staged[0] ?? root;
  if (product.tag !== "contract") throw new Error(`contract cannot make ${product.tag}`);
  return product;
};

/** Which way the four lanes of an accumulator run. */
type Lanes = "k" | "n" | "none";

const lanesFor = (
  low: Lower,
  product: TermOf<"contract">,
  roles: Roles,
  dim: (l: string) => Dim,
): Lanes => {
  const fits = (arg: number, label: string | undefined): boolean => {
    if (label === undefined) return false;
    const axis = product.labels.args[arg].indexOf(label);
    const size = dim(label);
    if (axis < 0 || typeof size !== "number" || size % 4 !== 0) return false;
    return low.tryWide(product.args[arg], product.args[arg].shape.map(() => int(0)), axis) !==
      undefined;
  };
  const k = roles.k.find((l) => fits(0, l) && fits(1, l));
  if (k !== undefined) return "k";
  return fits(1, roles.n[roles.n.length - 1]) ? "n" : "none";
};

/** The skeleton. */
export const contractSkeleton: Skeleton = (plan, context) => {
  const [root] = plan.roots;
  const product = productOf(root, plan.staged);
  const tall = root === product ? tallOf(product) : undefined;
  if (tall !== undefined) {
    const fold = plan.roots[1];
    const steps = fold?.tag === "fold" ? normalisedSteps(product, fold, tall, context) : undefined;
    if (steps !== undefined) return steps;
    if (fold === undefined) return tallSteps(product, tall, context);
    const apart = reduceSkeleton({ ...plan, roots: [fold] }, {
      ...context,
      name: `${context.name}_top`,
    });
    const materialized = new Set([...context.materialized, fold]);
    return [...apart, ...tallSteps(product, tall, { ...context, materialized })];
  }
  const b = new Builder(context);
  const { low } = b;
  b.read(product.args);
  const labels = product.labels;
  const dims = new Map(
    labels.args.flatMap((axis, i) =>
      axis.map((l, p): [string, Dim] => [l, product.args[i].shape[p]])
    ),
  );
  const dim = (l: string): Dim => dims.get(l)!;
  const roles = rolesOf(labels);
  const lanes = lanesFor(low, product, roles, dim);
  const alongK = lanes === "k"
    ? roles.k.find((l) =>
      labels.args.every((axis) => axis.includes(l)) && laneFits(low, product, l, dim)
    )!
    : undefined;
  // The label that runs in lanes is the innermost loop.
  const k = alongK === undefined ? roles.k : [...roles.k.filter((l) => l !== alongK), alongK];
  const unitN = lanes === "n" ? 4 : 1;
  const shapes = { m: roles.m.map(dim), n: roles.n.map(dim), batch: roles.batch.map(dim) };
  const MR = isDynamic(shapes.m) ? ROWS : Math.min(ROWS, knownCount(shapes.m));
  const NR = MR === 1 && lanes !== "none" ? STREAMS : lanes === "none" ? 4 : 2;
  const [M, N] = [b.count(shapes.m), b.count(shapes.n)];
  const tilesOf = (n: Expr, tile: number): Expr =>
    bin("div", bin("add", n, int(tile - 1)), int(tile));
  const [tm, tn] = [tilesOf(M, MR), tilesOf(N, NR * unitN)];
  const perBatch = bin("mul", tm, tn);
  const all = bin("mul", b.count(shapes.batch), perBatch);

  // Everything that follows the product reads its own operands.
  if (root !== product) {
    low.sources.set(product as Term, constantSource(num(0)));
    b.read([root]);
  }
  const out = b.write(root);

  const onePass = k.length === 1 && typeof dim(k[0]) === "number" ? dim(k[0]) as number : 0;
  const panelFloats = onePass * NR * unitN;
  // Where what is close is faster, columns are copied side by side once for all rows.
  const panel = lanes === "n" && MR > 1 && panelFloats > 0 && context.target.cacheBytes > 0 &&
      2 * panelFloats <= context.target.groupFloats
    ? b.local("panel", panelFloats)
    : undefined;

  const top = (n: Expr): Expr => bin("sub", n, int(1));
  const columnsAt = (n0: Expr): Expr[] =>
    Array.from(
      { length: NR },
      (_, j) =>
        unitN === 4
          ? alignedMin(low, bin("add", n0, int(4 * j)), bin("sub", N, int(4)))
          : low.named("n", bin("min", bin("add", n0, int(j)), top(N))),
    );
  const panelAt = (row: Expr, j: number): Expr =>
    bin("add", bin("mul", row, int(NR * unitN)), int(j * unitN));
  const makeTile = (batch: readonly Expr[], m0: Expr, n0: Expr): void => {
    const rows = Array.from(
      { length: MR },
      (_, i) => low.named("m", bin("min", bin("add", m0, int(i)), top(M))),
    );
    const cols = columnsAt(n0);
    const mi = rows.map((r) => unravel(r, low.dims(shapes.m)));
    const ni = cols.map((c) => unravel(c, low.dims(shapes.n)));
    const vector = lanes !== "none";
    const zero = vector ? un("splat", num(0)) : num(0);
    const acc = mi.map(() => ni.map(() => low.mutable("acc", zero)));
    const index = (
      arg: number,
      i: readonly Expr[],
      n: readonly Expr[],
      at: ReadonlyMap<string, Expr>,
    ): Expr[] =>
      labels.args[arg].map((l) =>
        at.get(l) ??
          (roles.m.includes(l)
            ? i[roles.m.indexOf(l)]
            : roles.n.includes(l)
            ? n[roles.n.indexOf(l)]
            : batch[roles.batch.indexOf(l)])
      );
    const body = (at: ReadonlyMap<string, Expr>): void => {
      const operand = (arg: number, place: Expr[], label: string | undefined): Expr => {
        const axis = label === undefined ? -1 : labels.args[arg].indexOf(label);
        const value = axis >= 0
          ? low.wide(product.args[arg], place, axis)
          : low.at(product.args[arg], place);
        return low.named("x", vector ? un("splat", value) : value);
      };
      const a = mi.map((i) => operand(0, index(0, i, [], at), alongK));
      const bs = ni.map((n, j) =>
        panel !== undefined
          ? low.named("x", load(panel, panelAt(at.get(k[0])!, j), true))
          : operand(1, index(1, [], n, at), lanes === "n" ? roles.n[roles.n.length - 1] : alongK)
      );
      acc.forEach((row, i) => row.forEach((cell, j) => cell.set(madd(a[i], bs[j], cell.get()))));
    };
    const walk = (rest: readonly string[], at: ReadonlyMap<string, Expr>): void => {
      if (rest.length === 0) return body(at);
      const step = rest[0] === alongK ? 4 : 1;
      low.loop(
        "k",
        int(0),
        b.size(dim(rest[0])),
        step,
        (i) => walk(rest.slice(1), new Map([...at, [rest[0], i]])),
      );
    };
    walk(k, new Map());

    const placeOf = (i: readonly Expr[], n: readonly Expr[]): Expr[] =>
      labels.out.map((l) =>
        roles.m.includes(l)
          ? i[roles.m.indexOf(l)]
          : roles.n.includes(l)
          ? n[roles.n.indexOf(l)]
          : batch[roles.batch.indexOf(l)]
      );
    const strides = low.dims(product.shape);
    const store = (place: readonly Expr[], value: Expr): void => {
      low.sources.set(product as Term, constantSource(value));
      const at = place.reduce<Expr>((p, x, d) => bin("add", bin("mul", p, strides[d]), x), int(0));
      low.store(out, at, root === product ? value : low.at(root, place));
    };
    mi.forEach((i, r) =>
      ni.forEach((n, c) => {
        const cell = acc[r][c].get();
        const result = low.named("r", lanes === "k" ? un("hsum", cell) : cell);
        const lastN = roles.n[roles.n.length - 1];
        low.when(bin("lt", bin("add", m0, int(r)), M), () =>
          low.when(bin("lt", bin("add", n0, int(c * unitN)), N), () => {
            for (let q = 0; q < unitN; q++) {
              const shifted = n.map((x, p) =>
                roles.n[p] === lastN && q > 0 ? bin("add", x, int(q)) : x
              );
              store(placeOf(i, shifted), unitN === 4 ? laneOf(result, q) : result);
            }
          }));
      })
    );
  };

  const group = variable(GROUP, "i32", { lo: 0 });
  if (panel === undefined) {
    const start = bin("mul", group, int(TILES));
    low.par("tile", bin("min", int(TILES), bin("sub", all, start)), (u) => {
      const tile = bin("add", start, u);
      const inBatch = bin("rem", tile, perBatch);
      makeTile(
        unravel(bin("div", tile, perBatch), low.dims(shapes.batch)),
        bin("mul", bin("rem", inBatch, tm), int(MR)),
        bin("mul", bin("div", inBatch, tm), int(NR * unitN)),
      );
    });
  } else {
    const batch = unravel(bin("div", group, tn), low.dims(shapes.batch));
    const n0 = bin("mul", bin("rem", group, tn), int(NR * unitN));
    const ni = columnsAt(n0).map((c) => unravel(c, low.dims(shapes.n)));
    const axis = labels.args[1].indexOf(roles.n[roles.n.length - 1]);
    low.par("row", int(onePass), (row) =>
      ni.forEach((n, j) => {
        const at = labels.args[1].map((l) =>
          l === k[0]
            ? row
            : roles.n.includes(l)
            ? n[roles.n.indexOf(l)]
            : batch[roles.batch.indexOf(l)]
        );
        low.store(panel, panelAt(row, j), low.wide(product.args[1], at, axis));
      }));
    low.par("tile", tm, (u) => makeTile(batch, bin("mul", u, int(MR)), n0));
  }
  const tilesIn = (shape: Shape, tile: number): Size => (s) => Math.ceil(countOf(shape, s) / tile);
  return [
    b.finish(
      context.name,
      "contract",
      (s) => {
        const columns = countOf(shapes.batch, s) * tilesIn(shapes.n, NR * unitN)(s);
        return panel !== undefined
          ? columns
          : Math.ceil(columns * tilesIn(shapes.m, MR)(s) / TILES);
      },
    ),
  ];
};

const laneFits = (
  low: Lower,
  product: TermOf<"contract">,
  label: string,
  dim: (l: string) => Dim,
): boolean => {
  const size = dim(label);
  return typeof size === "number" && size % 4 === 0 &&
    product.args.every((arg, i) =>
      low.tryWide(arg, arg.shape.map(() => int(0)), product.labels.args[i].indexOf(label)) !==
        undefined
    );
};

/** min(a, b) of multiples of four, known to be one. */
const alignedMin = (low: Lower, a: Expr, b: Expr): Expr => {
  const clamped = low.named("n", bin("div", bin("min", a, b), int(4)));
  return bin("mul", clamped, int(4));
};
