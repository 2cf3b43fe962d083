/**
 * Whole numbers that say where something lies, as integers: a place's digit is a shift and a mask, and what is
 * known of its range need not be checked.
 *
 * ```text
 * before: toI32(t − rint(t / 512 − 511 / 1024) · 512), brought between 0 and 511
 * after:  t % 512
 * ```
 * @module
 */
import { digitOf, overOf } from "../../dsl/core/digits.ts";
import type { Dim, Term } from "../../dsl/core/term.ts";
import { bin, type Expr, int } from "../ir/expr.ts";

/** Sizes of dims, as expressions. */
export interface Dims {
  readonly size: (dim: Dim) => Expr;
}

/** Operators of integers that are the same in both. */
const SAME = ["add", "sub", "mul", "min", "max"] as const;

/** Whole numbers made of places and constants at an index, or nothing. */
export const integerAt = (low: Dims, t: Term, index: readonly Expr[]): Expr | undefined => {
  const of = (x: Term): Expr | undefined => integerAt(low, x, index);
  switch (t.tag) {
    case "constant":
      return Number.isInteger(t.value) && Math.abs(t.value) < 2 ** 24 ? int(t.value) : undefined;
    case "iota":
      return bin("add", index[t.axis], low.size(t.start));
    case "broadcast":
      return integerAt(low, t.args[0], t.axes.map((a) => index[a]));
    case "cast": {
      const x = t.dtype === "u32" ? of(t.args[0]) : undefined;
      // Below 0 a cast gives 0.
      return x === undefined || x.lo >= 0 ? x : bin("max", x, int(0));
    }
    case "map": {
      // Division of integers goes towards 0.
      const digit = digitOf(t);
      const whole = digit ?? overOf(t);
      if (whole !== undefined) {
        const x = of(whole.of);
        return x !== undefined && x.lo >= 0
          ? bin(digit === undefined ? "div" : "rem", x, int(whole.by))
          : undefined;
      }
      const op = SAME.find((name) => name === t.op);
      const [a, b] = op === undefined ? [] : t.args.map(of);
      return op !== undefined && a !== undefined && b !== undefined ? bin(op, a, b) : undefined;
    }
    default:
      return undefined;
  }
};
