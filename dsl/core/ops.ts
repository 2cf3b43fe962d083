/**
 * Scalar operators of `map`: arity and meaning. Comparisons give 1 or 0.
 * @module
 */
import { binadeOf, rint } from "./dtype.ts";

/** Names of the scalar operators. */
export type Op =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "max"
  | "min"
  | "less"
  | "hadamard"
  | "neg"
  | "abs"
  | "exp"
  | "sqrt"
  | "rint"
  | "binade"
  | "select";

/** How many operands a scalar operator takes, and what it means in f64. */
export interface OpInfo {
  /** Number of operands. */
  readonly arity: number;
  /** The value. */
  readonly apply: (...xs: number[]) => number;
}

const two = (f: (a: number, b: number) => number): OpInfo => ({ arity: 2, apply: f });
const one = (f: (a: number) => number): OpInfo => ({ arity: 1, apply: f });

/** Parity of the common bits of two indices: the sign pattern of a Hadamard matrix. */
const hadamardSign = (i: number, j: number): number => {
  let bits = (i & j) >>> 0;
  let sign = 1;
  while (bits !== 0) {
    sign = -sign;
    bits &= bits - 1;
  }
  return sign;
};

/** One row an operator. */
export const OPS: Readonly<Record<Op, OpInfo>> = {
  add: two((a, b) => a + b),
  sub: two((a, b) => a - b),
  mul: two((a, b) => a * b),
  /** Quotient; a zero denominator gives 0 (a constant group has scale 0 and every code 0). */
  div: two((a, b) => b === 0 ? 0 : a / b),
  max: two((a, b) => Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.max(a, b)),
  min: two((a, b) => Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.min(a, b)),
  less: two((a, b) => a < b ? 1 : 0),
  hadamard: two(hadamardSign),
  neg: one((a) => -a),
  abs: one((a) => Math.abs(a)),
  exp: one((a) => Math.exp(a)),
  sqrt: one((a) => Math.sqrt(a)),
  rint: one((a) => rint(a)),
  /** The largest power of two that is not above the magnitude; 0 for 0. */
  binade: one((a) => binadeOf(a)),
  select: {
    arity: 3,
    apply: (c: number, a: number, b: number): number => c !== 0 ? a : b,
  },
};
