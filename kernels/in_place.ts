/**
 * Sums of a row's products with itself over rows that are read where they lie in memory. A number that multiplies all
 * of them meets the sums, wherever neither overflow nor what is lost below the smallest number can tell:
 *
 * ```text
 * Σ (s·x)(s·x)ᵀ  =  s·(Σ x xᵀ)·s      where |s| ≤ 2^12 and Σ x² < 2^126; else rows are made, s·x, and added up
 * ```
 * Sums of squares hold all others (Cauchy and Schwarz), so they show whether anything overflowed. A product below
 * 2^-126 loses at most 2^-150, which s² makes 2^-126: no more than a product of s·x may lose where subnormal numbers
 * are flushed.
 * @module
 */
import type { Term } from "../dsl/core/term.ts";
import { type Arr, bin, type Expr, int, num, select, un, variable } from "../compiler/ir/expr.ts";
import { unravel } from "../compiler/kernel.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { type Apart, apart, CLOSE, type Tall } from "../compiler/lower/tall.ts";
import { addTriangle, passesOf, squaresOf, type Top } from "./triangle.ts";

/** Numbers of rows that stay close while the triangle's turns go by. */
const CHUNK = 1024;
/** Rows that are written out. */
const ROWS = [4, 2, 1];
/** The largest factor that sums are multiplied by, and a sum of squares that nothing overflowed in. */
export const FACTOR = 2 ** 12;
const SQUARES = 2 ** 126;

/** The rows of an operand if one triangle takes them and they are loads of four along an axis; else nothing. */
export const lyingOf = (
  low: Lower,
  term: Term,
  axis: number,
  batch: readonly number[],
): Apart | undefined => {
  const size = term.shape[axis];
  if (typeof size !== "number" || size > CLOSE) return undefined;
  const found = apart(term, batch);
  const index = term.shape.map((d, a) => {
    const hi = typeof d === "number" ? d - 1 : Infinity;
    return variable(`axis${a}`, "i32", { lo: 0, hi, factor: a === axis ? 4 : 1 });
  });
  let four: Expr | undefined;
  low.inBlock(() => {
    four = low.tryWide(found.view, index, axis);
  });
  return four?.op === "load" && four.arr?.space === "storage" ? found : undefined;
};

/** Where a column of an inner row of a token is in rows with such labels; `lead` and `first`: of the group. */
export const rowIndex = (
  labels: readonly string[],
  column: string,
  { batch, tokens, inner, dims }: Tall,
  lead: readonly Expr[],
  first: Expr,
) =>
(token: Expr, s: Expr, at: Expr): Expr[] => {
  const own = unravel(s, inner.map((l) => int(dims.get(l) as number)));
  return labels.map((l) =>
    l === column
      ? at
      : l === tokens
      ? bin("add", first, token)
      : inner.includes(l)
      ? own[inner.indexOf(l)]
      : lead[batch.indexOf(l)]
  );
};

/** The rows of one group. */
export interface Rows {
  readonly low: Lower;
  readonly view: Term;
  /** Where a column of an inner row of a token is, and which axis columns are. */
  readonly index: (token: Expr, inner: Expr, column: Expr) => Expr[];
  readonly axis: number;
  /** Columns, and rows of a token. */
  readonly size: number;
  readonly inner: number;
  /** Tokens. */
  readonly count: Expr;
  readonly sums: Arr;
  /** Where their largest magnitude is wanted too. */
  readonly top?: Top;
}

/** Adds up the products of all rows. */
export const addInPlace = (
  { low, view, index, axis, size, inner, count, sums, top }: Rows,
): void => {
  const turn = ROWS.find((n) => inner % n === 0)!;
  const T = Math.max(1, Math.floor(CHUNK / (turn * size)));
  low.loop(
    "o",
    int(0),
    int(inner / turn),
    1,
    (o) =>
      low.loop("c", int(0), bin("div", bin("add", count, int(T - 1)), int(T)), 1, (c) => {
        const before = bin("mul", c, int(T));
        const here = bin("min", int(T), bin("sub", count, before));
        const length = low.named("length", bin("mul", here, int(turn)));
        const four = (row: Expr, column: number): Expr => {
          const token = bin("add", before, bin("div", row, int(turn)));
          const own = bin("add", bin("mul", o, int(turn)), bin("rem", row, int(turn)));
          return low.wide(view, index(token, own, int(column)), axis);
        };
        const passes = passesOf(size);
        passes.forEach((pass, p) =>
          addTriangle(
            low,
            pass,
            sums,
            size,
            length,
            four,
            p === passes.length - 1 ? top : undefined,
          )
        );
      }),
  );
};

/** Did nothing overflow in these sums? */
export const inRange = (sums: Arr, size: number): Expr => {
  const beyond = squaresOf(sums, size)
    .map((x) => select(bin("lt", x, un("splat", num(SQUARES))), num(0), num(1)))
    .reduce((a, b) => bin("add", a, b));
  return bin("lt", un("hsum", beyond), num(0.5));
};

/** May the factor meet these sums? */
export const mayMeet = (low: Lower, factor: Expr, sums: Arr, size: number): Expr =>
  low.named("kept", bin("and", inRange(sums, size), bin("le", un("abs", factor), num(FACTOR))));
