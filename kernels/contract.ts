/**
 * `contract`: a matrix product in tiles of registers, with what follows it fused in.
 *
 * ```text
 * a tile of MR × NR results a lane:
 *   lanes along k (both operands lie along k): acc[i][j] += a4[i] * b4[j];   result = Σ lanes
 *   lanes along n (b lies along n):            acc[i][j4] += splat(a[i]) * b4[j]
 * store(epilogue(result))
 * ```
 * Ladder: one product a lane → tiles of registers → (not yet: tiles staged in group memory).
 * @module
 */
import { countOf } from "../dsl/core/shape.ts";
import type { Dim, Shape, Term, TermOf } from "../dsl/core/term.ts";
import {
  bin,
  type Expr,
  int,
  lane as laneOf,
  madd,
  num,
  un,
  variable,
} from "../compiler/ir/expr.ts";
import { GROUP, type Size } from "../compiler/ir/stmt.ts";
import { Builder, type Skeleton, unravel } from "../compiler/kernel.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { tallOf } from "../compiler/lower/tall.ts";
import { tallSteps } from "./tall.ts";
import { constantSource } from "../compiler/lower/memory.ts";

const MR = 4;
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
  if (tall !== undefined) return tallSteps(product as Term & TermOf<"contract">, tall, context);
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
  const NR = lanes === "n" ? 2 : lanes === "k" ? 2 : 4;
  const shapes = { m: roles.m.map(dim), n: roles.n.map(dim), batch: roles.batch.map(dim) };
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

  const start = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(TILES));
  low.par("tile", bin("min", int(TILES), bin("sub", all, start)), (u) => {
    const tile = bin("add", start, u);
    const batch = unravel(bin("div", tile, perBatch), low.dims(shapes.batch));
    const inBatch = bin("rem", tile, perBatch);
    const m0 = bin("mul", bin("div", inBatch, tn), int(MR));
    const n0 = bin("mul", bin("rem", inBatch, tn), int(NR * unitN));
    const top = (n: Expr): Expr => bin("sub", n, int(1));
    const rows = Array.from(
      { length: MR },
      (_, i) => low.named("m", bin("min", bin("add", m0, int(i)), top(M))),
    );
    const cols = Array.from(
      { length: NR },
      (_, j) =>
        unitN === 4
          ? alignedMin(low, bin("add", n0, int(4 * j)), bin("sub", N, int(4)))
          : low.named("n", bin("min", bin("add", n0, int(j)), top(N))),
    );
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
      const bs = ni.map((n) =>
        operand(1, index(1, [], n, at), lanes === "n" ? roles.n[roles.n.length - 1] : alongK)
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
  });
  const tilesIn = (shape: Shape, tile: number): Size => (s) => Math.ceil(countOf(shape, s) / tile);
  return [
    b.finish(
      context.name,
      "contract",
      (s) =>
        Math.ceil(
          countOf(shapes.batch, s) * tilesIn(shapes.m, MR)(s) * tilesIn(shapes.n, NR * unitN)(s) /
            TILES,
        ),
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
