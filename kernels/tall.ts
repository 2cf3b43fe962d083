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
 * On a CPU a symmetric result is made of triangles along its diagonal (`triangle.ts`) and tiles beside them. One
 * triangle of rows that lie in memory reads them there (`in_place.ts`).
 * @module
 */
import { countOf, knownCount, sizeOf } from "../dsl/core/shape.ts";
import type { Term, TermOf } from "../dsl/core/term.ts";
import { bin, type Expr, int, load, num, select, un, variable } from "../compiler/ir/expr.ts";
import { GROUP, type Size } from "../compiler/ir/stmt.ts";
import { Builder, type Context, type Step, unravel } from "../compiler/kernel.ts";
import type { Tall } from "../compiler/lower/tall.ts";
import { multiply } from "./micro.ts";
import { addTriangle, COLUMNS, passesOf, placeAt } from "./triangle.ts";
import { addInPlace, lyingOf, mayMeet, rowIndex } from "./in_place.ts";

/** Floats of rows in a chunk, rows of a part, results a group adds up. */
const [CHUNK, PART, RESULTS] = [1024, 4096, 256];
/** Fours of numbers written out in one turn of a loop. */
const FOURS = 16;
/** Rows of a block of results, which is one vector wide. */
const MR = 4;

/** Results that are made together: rows, and first columns of fours. */
interface Tile {
  readonly rows: readonly number[];
  readonly fours: readonly number[];
}

const range = (from: number, to: number, by: number): number[] =>
  Array.from({ length: Math.max(0, Math.ceil((to - from) / by)) }, (_, i) => from + by * i);

const rowsFrom = (i: number): number[] => range(i, i + MR, 1);

/** A list in pairs, the last of an odd one alone. */
const inPairs = <A>(list: readonly A[]): (readonly A[])[] =>
  range(0, list.length, 2).map((k) => list.slice(k, k + 2));

/**
 * Two blocks a tile, so that multipliers are busy: neighbours of a row share their rows. Of a symmetric result only
 * blocks right of the triangles; those that are left over are in the last column and share it.
 */
const tilesOf = (M: number, N: number, symmetric: boolean): readonly Tile[] => {
  const from = (i: number): number => symmetric ? COLUMNS * (Math.floor(i / COLUMNS) + 1) : 0;
  const tiles = range(0, M, MR).flatMap((i) =>
    inPairs(range(from(i), N, 4)).map((fours): Tile => ({ rows: rowsFrom(i), fours }))
  );
  const alone = inPairs(tiles.filter((t) => t.fours.length === 1));
  return [
    ...tiles.filter((t) => t.fours.length === 2),
    ...alone.map(([a, b]): Tile => ({ ...a, rows: [...a.rows, ...b?.rows ?? []] })),
  ];
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
  const S = knownCount(inner.map(dim));
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
  const { serial } = context.target;
  /** Where a column of an inner row of a token of the group is. */
  const indexOf = (side: number, token: Expr, s: Expr, at: Expr): Expr[] =>
    rowIndex(root.labels.args[side], sides[side].label, tall, lead, first)(token, s, at);
  const axisOf = (side: number): number => root.labels.args[side].indexOf(sides[side].label);
  const clear = (): void => {
    const zero = (z: Expr): void => low.store(sums, bin("mul", z, int(4)), un("splat", num(0)));
    if (serial) low.loop("z", int(0), int(M * N / 4), 1, zero);
    else low.par("z", int(M * N / 4), zero);
  };
  const made = (): void =>
    low.loop("c", int(0), ceil(count, T), 1, (c) => {
      const before = bin("mul", c, int(T));
      const here = low.named("here", bin("min", int(T), bin("sub", count, before)));
      sides.forEach(({ size }, side) => {
        const fours = S * size / 4;
        const write = (t: Expr, u: Expr): void => {
          const s = bin("div", u, int(size / 4));
          const at = bin("mul", bin("rem", u, int(size / 4)), int(4));
          const index = indexOf(side, bin("add", before, t), s, at);
          const to = bin("add", bin("mul", t, int(S * size)), bin("mul", u, int(4)));
          low.store(rows[side], to, low.wide(root.args[side], index, axisOf(side)));
        };
        if (!serial) {
          low.par(
            "u",
            bin("mul", here, int(fours)),
            (u) => write(bin("div", u, int(fours)), bin("rem", u, int(fours))),
          );
          return;
        }
        const turn = Array.from({ length: FOURS }, (_, i) => FOURS - i).find((k) =>
          fours % k === 0
        )!;
        low.loop("t", int(0), here, 1, (t) =>
          low.loop("u", int(0), int(fours / turn), 1, (u) => {
            for (let k = 0; k < turn; k++) write(t, bin("add", bin("mul", u, int(turn)), int(k)));
          }));
      });
      const length = low.named("length", bin("mul", here, int(S)));
      const tile = (rowsAt: readonly Expr[], foursAt: readonly Expr[]): void => {
        const place = (r: number, v: number): Expr =>
          bin("add", bin("mul", rowsAt[r], int(N)), foursAt[v]);
        const of = (side: number, k: Expr, at: Expr, wide: boolean): Expr => {
          const { size } = sides[side % sides.length];
          return load(rows[side % rows.length], bin("add", bin("mul", k, int(size)), at), wide);
        };
        const made = multiply(low, {
          rows: rowsAt.length,
          vectors: foursAt.length,
          steps: length,
          one: (r, k) => of(0, k, rowsAt[r], false),
          four: (v, k) => of(1, k, foursAt[v], true),
          start: (r, v) => load(sums, place(r, v), true),
        });
        made.forEach((row, r) => row.forEach((value, v) => low.store(sums, place(r, v), value)));
      };
      if (serial) {
        if (symmetric) {
          const four = (k: Expr, column: number): Expr =>
            load(rows[0], bin("add", bin("mul", k, int(M)), int(column)), true);
          passesOf(M).forEach((pass) => addTriangle(low, pass, sums, M, length, four));
        }
        tilesOf(M, N, symmetric).forEach((t) => tile(t.rows.map(int), t.fours.map(int)));
      } else {
        const across = N % 8 === 0 ? 2 : 1;
        const columns = N / (4 * across);
        low.par("tile", int(M / MR * columns), (t) => {
          const i = bin("mul", bin("div", t, int(columns)), int(MR));
          const j = bin("mul", bin("rem", t, int(columns)), int(4 * across));
          tile(
            range(0, MR, 1).map((r) => bin("add", i, int(r))),
            range(0, across, 1).map((v) => bin("add", j, int(4 * v))),
          );
        });
      }
    });
  clear();
  const axes = root.labels.args[0];
  const lying = serial && symmetric
    ? lyingOf(low, root.args[0], axisOf(0), batch.map((l) => axes.indexOf(l)))
    : undefined;
  let factor = num(1);
  if (lying === undefined) made();
  else {
    const { view, factor: by } = lying;
    const index = (token: Expr, s: Expr, at: Expr): Expr[] => indexOf(0, token, s, at);
    addInPlace({ low, view, index, axis: axisOf(0), size: M, inner: S, count, sums });
    if (by !== undefined) {
      const own = indexOf(0, int(0), int(0), int(0));
      const value = low.named("factor", low.at(by.term, by.axes.map((a) => own[a])));
      const kept = mayMeet(low, value, sums, M);
      low.when(un("not", kept), () => {
        clear();
        made();
      });
      factor = low.named("factor", select(kept, value, num(1)));
    }
  }
  low.par("s", int(M * N / 4), (s) => {
    const at = bin("mul", s, int(4));
    const value = bin("mul", bin("mul", load(sums, at, true), factor), factor);
    low.store(mid, bin("add", bin("mul", group, int(M * N)), at), value);
  });
  const step = b.finish(context.name, "contract", groups);
  return [step, added(root, tall, context, name, words, P)];
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
    const inside = symmetric && context.target.serial
      ? placeAt(row, col, N)
      : bin("add", bin("mul", row, int(N)), col);
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
