/**
 * Sums of products in registers: a few numbers of one operand against a few vectors of the other.
 *
 * ```text
 * for k:  y = vectors of b(k);  for each row i:  x = splat(a(i, k));  acc[i][j] += x · y[j]
 * ```
 * Four rows and two vectors are eight sums from six loads: as many as keep multipliers busy and leave
 * registers for operands.
 * @module
 */
import { bin, type Expr, int, madd, num, un } from "../compiler/ir/expr.ts";
import type { Lower } from "../compiler/lower/at.ts";

/** Rows of the first operand, vectors of the second. */
export const ROWS = 4;
const VECTORS = 2;
/** Vectors of four that divide a count. */
export const vectorsOf = (count: number): number => count % (4 * VECTORS) === 0 ? VECTORS : 1;
/** Steps that are written out; sums run over a multiple of it. */
export const UNROLL = 4;

/** What is multiplied. */
export interface Micro {
  readonly rows: number;
  readonly vectors: number;
  /** Steps of the sums. */
  readonly steps: Expr;
  /** One number of the first operand. */
  readonly one: (row: number, step: Expr) => Expr;
  /** Four numbers of the second. */
  readonly four: (vector: number, step: Expr) => Expr;
  /** What the sums begin with; zero if not given. */
  readonly start?: (row: number, vector: number) => Expr;
}

/** The sums, row by row. */
export const multiply = (low: Lower, m: Micro): Expr[][] => {
  const zero = un("splat", num(0));
  const sums = Array.from(
    { length: m.rows },
    (_, i) =>
      Array.from(
        { length: m.vectors },
        (_, j) => low.mutable("acc", m.start?.(i, j) ?? zero),
      ),
  );
  const unroll = m.steps.factor % UNROLL === 0 ? UNROLL : 1;
  low.loop("k", int(0), m.steps, unroll, (k) => {
    for (let u = 0; u < unroll; u++) {
      const step = bin("add", k, int(u));
      const y = sums[0].map((_, j) => low.named("y", m.four(j, step)));
      sums.forEach((row, i) => {
        const x = low.named("x", un("splat", m.one(i, step)));
        row.forEach((cell, j) => cell.set(madd(x, y[j], cell.get())));
      });
    }
  });
  return sums.map((row) => row.map((cell) => cell.get()));
};
