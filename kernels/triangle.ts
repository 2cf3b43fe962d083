/**
 * Products of a row with itself, four columns by four at a time: a vector of the row times the vectors of the same
 * row, each turned by 0 to 3 places, so that both sides of a product are loaded once.
 *
 * ```text
 * x = (x0 x1 x2 x3):  x · turn(y, r) = (x0·y[r], x1·y[r + 1], …)       r = 0 … 3: all sixteen
 *                     x · turn(x, 3) has the numbers of x · turn(x, 1): three are enough
 * for a turn r:  for k:  x = vectors of row k;  acc[i][j] += x[i] · turn(x[j], r)    for i ≤ j
 * ```
 * Sixteen columns take 36 multiply-adds a row and turn by turn 10 sums, which registers hold beside the row: blocks
 * of 4 × 4 take 40, and a load for each number.
 * @module
 */
import { bin, type Expr, int, load, madd, select, turned, un } from "../compiler/ir/expr.ts";
import type { Arr } from "../compiler/ir/expr.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { CLOSE } from "../compiler/lower/tall.ts";
import { UNROLL } from "./micro.ts";

/** Columns of a triangle: the four vectors of a row that registers hold beside the sums. */
export const COLUMNS = CLOSE;
/** Sums that registers hold beside them. */
const SUMS = 10;

/** One product of vectors: the first, the second, how far that is turned. */
type Product = readonly [number, number, number];

/** What goes through the rows at once, of columns from `first` on. */
export interface Pass {
  readonly first: number;
  readonly products: readonly Product[];
}

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** The products of all columns of a triangle with those that are not before them. */
const passesFrom = (first: number, columns: number): readonly Pass[] => {
  const vectors = count(columns / 4);
  const turns = [0, 1, 2, 3].map((r) =>
    vectors.flatMap((j) => vectors.slice(0, r === 3 ? j : j + 1).map((i): Product => [i, j, r]))
  );
  return turns.reduce<readonly Pass[]>((passes, products) => {
    const last = passes[passes.length - 1];
    return last !== undefined && last.products.length + products.length <= SUMS
      ? [...passes.slice(0, -1), { first, products: [...last.products, ...products] }]
      : [...passes, { first, products }];
  }, []);
};

/** The triangles along the diagonal of a symmetric result. */
export const passesOf = (size: number): readonly Pass[] =>
  count(Math.ceil(size / COLUMNS)).flatMap((b) =>
    passesFrom(COLUMNS * b, Math.min(COLUMNS, size - COLUMNS * b))
  );

/** Where the sums of a product lie: its turn is the row within the block of 4 × 4. */
const placeOf = ({ first }: Pass, [i, j, r]: Product, size: number): number =>
  (first + 4 * i + r) * size + first + 4 * j;

/** The largest magnitudes so far, in lanes. */
export type Top = ReturnType<Lower["mutable"]>;

/** The largest of several, in pairs. */
const largest = (all: readonly Expr[]): Expr =>
  all.length === 1 ? all[0] : largest(
    count(Math.ceil(all.length / 2)).map((k) =>
      all.slice(2 * k, 2 * k + 2).reduce((a, b) => bin("max", a, b))
    ),
  );

/** Adds the products of `length` rows, whose vectors `four` gives, to the sums. */
export const addTriangle = (
  low: Lower,
  pass: Pass,
  sums: Arr,
  size: number,
  length: Expr,
  four: (row: Expr, column: number) => Expr,
  top?: Top,
): void => {
  const { first, products } = pass;
  const places = products.map((p) => int(placeOf(pass, p, size)));
  const accs = places.map((at) => low.mutable("acc", load(sums, at, true)));
  const used = [...new Set(products.flatMap(([i, j]) => [i, j]))];
  const unroll = length.factor % UNROLL === 0 ? UNROLL : 1;
  low.loop("k", int(0), length, unroll, (k) =>
    count(unroll).forEach((u) => {
      const row = bin("add", k, int(u));
      const x = new Map(used.map((v) => [v, low.named("x", four(row, first + 4 * v))]));
      if (top) top.set(bin("max", top.get(), largest([...x.values()].map((v) => un("abs", v)))));
      const y = new Map<string, Expr>();
      products.forEach(([i, j, r], p) => {
        const key = `${j} ${r}`;
        if (!y.has(key)) y.set(key, r === 0 ? x.get(j)! : low.named("y", turned(x.get(j)!, r)));
        accs[p].set(madd(x.get(i)!, y.get(key)!, accs[p].get()));
      });
    }));
  accs.forEach((acc, p) => low.store(sums, places[p], acc.get()));
};

/** Vectors of the sums of squares. */
export const squaresOf = (sums: Arr, size: number): readonly Expr[] =>
  count(size / 4).map((i) => load(sums, int(4 * i * size + 4 * i), true));

/** Where the result at a row and a column, which is not before it, lies among the sums. */
export const placeAt = (row: Expr, column: Expr, size: number): Expr => {
  const natural = bin("add", bin("mul", row, int(size)), column);
  const block = (e: Expr): Expr => bin("mul", bin("div", e, int(4)), int(4));
  const by = bin("sub", column, row);
  // The only one three places on is in a block of the diagonal: the same as one on from the other side.
  const across = bin("eq", by, int(3));
  const own = bin("eq", block(row), block(column));
  const swap = select(own, select(across, int(1), int(0)), int(0));
  const from = bin("add", row, bin("mul", swap, int(3)));
  const turn = select(bin("eq", swap, int(1)), int(1), bin("rem", by, int(4)));
  const inside = bin(
    "add",
    bin("mul", bin("add", block(row), turn), int(size)),
    bin("add", block(column), bin("rem", from, int(4))),
  );
  if (size <= COLUMNS) return inside;
  const triangle = (e: Expr): Expr => bin("div", e, int(COLUMNS));
  return select(bin("eq", triangle(row), triangle(column)), inside, natural);
};
