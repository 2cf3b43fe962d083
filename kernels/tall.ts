/**
 * Products of tall matrices: few results, a sum over all tokens. Rows are made once, a chunk that stays close;
 * a part of the tokens has its own sums, and a second kernel adds the parts.
 *
 * ```text
 * for a group = (batch, part of the tokens):
 *   for a chunk:  rows[k][…] = operands at k                   (whatever is fused into them, once)
 *     for a tile of 4 × 8 results:  acc += splat(a[k][i]) · b[k][j…]    for all k of the chunk
 *   parts[group] = sums
 * result = Σ parts                                             (a symmetric one: of its upper half)
 * ```
 * @module
 */
import { countOf, sizeOf } from "../dsl/core/shape.ts";
import type { Term, TermOf } from "../dsl/core/term.ts";
import { bin, type Expr, int, load, madd, num, un, variable } from "../compiler/ir/expr.ts";
import { GROUP, type Size } from "../compiler/ir/stmt.ts";
import { Builder, type Context, type Step, unravel } from "../compiler/kernel.ts";
import type { Tall } from "../compiler/lower/tall.ts";

/** Floats of rows in a chunk, rows of a part, results a group adds up. */
const [CHUNK, PART, RESULTS] = [2048, 4096, 256];
/** Fours of numbers written out in one turn of a loop. */
const FOURS = 16;
const MR = 4;

/** Tiles as first row, first column and fours of columns; of a symmetric result those that reach its upper half. */
const tilesOf = (M: number, N: number, symmetric: boolean): [number, number, number][] => {
  const out: [number, number, number][] = [];
  for (let i = 0; i < M; i += MR) {
    for (let j = symmetric ? i : 0; j < N; j += 8) out.push([i, j, j + 8 <= N ? 2 : 1]);
  }
  return out;
};

/** The steps that make a tall product. */
export const tallSteps = (
  root: Term & TermOf<"contract">,
  tall: Tall,
  context: Context,
): Step[] => {
  const { batch, tokens, inner, m, n, dims, symmetric } = tall;
  const dim = (l: string): number => dims.get(l) as number;
  const [M, N] = [dim(m), dim(n)];
  const innerDims = inner.map(dim);
  const S = innerDims.reduce((p, d) => p * d, 1);
  const sides = symmetric
    ? [{ label: m, size: M }]
    : [{ label: m, size: M }, { label: n, size: N }];
  const width = sides.reduce((sum, s) => sum + s.size, 0);
  // Tokens of a chunk and of a part.
  const T = Math.max(1, Math.floor(CHUNK / (S * width)));
  const P = T * Math.max(1, Math.ceil(PART / (S * T)));
  const batchShape = batch.map((l) => dims.get(l)!);
  const partsIn: Size = (s) => Math.ceil(sizeOf(dims.get(tokens)!, s) / P);
  const groups: Size = (s) => countOf(batchShape, s) * partsIn(s);
  const words: Size = (s) => groups(s) * M * N;
  const name = `${context.name}_sums`;

  const b = new Builder(context);
  const { low } = b;
  b.read(root.args);
  const mid = b.scratch(name, words, true);
  const rows = sides.map(({ size }) => b.local("rows", T * S * size));
  const sums = b.local("sums", M * N);
  const total = b.size(dims.get(tokens)!);
  const ceil = (x: Expr, by: number): Expr => bin("div", bin("add", x, int(by - 1)), int(by));
  const parts = ceil(total, P);
  const group = variable(GROUP, "i32", { lo: 0 });
  const lead = unravel(bin("div", group, parts), low.dims(batchShape));
  const first = bin("mul", bin("rem", group, parts), int(P));
  const count = bin("min", int(P), bin("sub", total, first));
  low.par("z", int(M * N / 4), (z) => low.store(sums, bin("mul", z, int(4)), un("splat", num(0))));
  low.loop("c", int(0), ceil(count, T), 1, (c) => {
    const before = bin("mul", c, int(T));
    const here = low.named("here", bin("min", int(T), bin("sub", count, before)));
    sides.forEach(({ label, size }, side) => {
      const fours = S * size / 4;
      const write = (t: Expr, u: Expr): void => {
        const s = bin("div", u, int(size / 4));
        const at = bin("mul", bin("rem", u, int(size / 4)), int(4));
        const own = unravel(s, innerDims.map(int));
        const axis = root.labels.args[side];
        const index = axis.map((l) =>
          l === label
            ? at
            : l === tokens
            ? bin("add", bin("add", first, before), t)
            : inner.includes(l)
            ? own[inner.indexOf(l)]
            : lead[batch.indexOf(l)]
        );
        const to = bin("add", bin("mul", t, int(S * size)), bin("mul", u, int(4)));
        low.store(rows[side], to, low.wide(root.args[side], index, axis.indexOf(label)));
      };
      if (!context.target.serial) {
        low.par(
          "u",
          bin("mul", here, int(fours)),
          (u) => write(bin("div", u, int(fours)), bin("rem", u, int(fours))),
        );
        return;
      }
      const turn = Array.from({ length: FOURS }, (_, i) => FOURS - i).find((k) => fours % k === 0)!;
      low.loop("t", int(0), here, 1, (t) =>
        low.loop("u", int(0), int(fours / turn), 1, (u) => {
          for (let k = 0; k < turn; k++) write(t, bin("add", bin("mul", u, int(turn)), int(k)));
        }));
    });
    const length = low.named("length", bin("mul", here, int(S)));
    const tile = (i: Expr, j: Expr, fours: number): void => {
      const place = (r: number, v: number): Expr =>
        bin("add", bin("mul", bin("add", i, int(r)), int(N)), bin("add", j, int(4 * v)));
      const each = <A>(make: (r: number, v: number) => A): A[][] =>
        Array.from({ length: MR }, (_, r) => Array.from({ length: fours }, (_, v) => make(r, v)));
      const acc = each((r, v) => low.mutable("acc", load(sums, place(r, v), true)));
      low.loop("k", int(0), length, 1, (k) => {
        const of = (side: number, at: Expr, wide: boolean): Expr => {
          const arr = rows[side % rows.length];
          const size = sides[side % rows.length].size;
          return load(arr, bin("add", bin("mul", k, int(size)), at), wide);
        };
        const right = Array.from(
          { length: fours },
          (_, v) => low.named("b", of(1, bin("add", j, int(4 * v)), true)),
        );
        acc.forEach((row, r) => {
          const left = low.named("a", un("splat", of(0, bin("add", i, int(r)), false)));
          row.forEach((cell, v) => cell.set(madd(left, right[v], cell.get())));
        });
      });
      acc.forEach((row, r) => row.forEach((cell, v) => low.store(sums, place(r, v), cell.get())));
    };
    if (context.target.serial) {
      tilesOf(M, N, symmetric).forEach(([i, j, fours]) => tile(int(i), int(j), fours));
    } else {
      const across = N % 8 === 0 ? 2 : 1;
      const columns = N / (4 * across);
      low.par("tile", int(M / MR * columns), (t) =>
        tile(
          bin("mul", bin("div", t, int(columns)), int(MR)),
          bin("mul", bin("rem", t, int(columns)), int(4 * across)),
          across,
        ));
    }
  });
  low.par("s", int(M * N / 4), (s) => {
    const at = bin("mul", s, int(4));
    low.store(mid, bin("add", bin("mul", group, int(M * N)), at), load(sums, at, true));
  });
  const made = b.finish(context.name, "contract", groups);
  return [made, added(root, tall, context, name, words, P)];
};

/** The kernel that adds the parts. */
const added = (
  root: Term,
  { batch, tokens, m, n, dims, symmetric }: Tall,
  context: Context,
  name: string,
  words: Size,
  P: number,
): Step => {
  const [M, N] = [m, n].map((l) => dims.get(l) as number);
  const b = new Builder(context);
  const { low } = b;
  const mid = b.scratch(name, words, false);
  const out = b.write(root);
  const parts = bin("div", bin("add", b.size(dims.get(tokens)!), int(P - 1)), int(P));
  const all = bin("mul", b.count(batch.map((l) => dims.get(l)!)), int(M * N));
  const start = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(RESULTS));
  low.par("e", bin("min", int(RESULTS), bin("sub", all, start)), (e) => {
    const at = bin("add", start, e);
    const [i, j] = [bin("rem", bin("div", at, int(N)), int(M)), bin("rem", at, int(N))];
    const [row, col] = symmetric ? [bin("min", i, j), bin("max", i, j)] : [i, j];
    const from = bin("mul", bin("div", at, int(M * N)), parts);
    const inside = bin("add", bin("mul", row, int(N)), col);
    const acc = low.mutable("acc", num(0));
    low.loop("p", int(0), parts, 1, (p) => {
      const value = load(mid, bin("add", bin("mul", bin("add", from, p), int(M * N)), inside));
      acc.set(bin("add", acc.get(), value));
    });
    low.store(out, at, acc.get());
  });
  return b.finish(
    `${context.name}_added`,
    "contract",
    (s) => Math.ceil(countOf(root.shape, s) / RESULTS),
  );
};
