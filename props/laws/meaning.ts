/**
 * The meaning law: a device is no further from the f64 value of a term than the term's rounding.
 * @module
 */
import type { Env } from "../../dsl/read/eval.ts";
import { F32, F64 } from "../../dsl/read/machine.ts";
import { rounding } from "../../dsl/read/rounding.ts";
import type { Term } from "../../dsl/core/term.ts";

/**
 * Largest excess of |device − eval| over its bound; no claim is made where the bound is infinite.
 * A device computes the rewritten term, and both evaluations round in f64: both shares are allowed.
 */
export const excess = (
  device: ArrayLike<number>,
  meant: Term,
  rewritten: Term,
  env: Env,
): number => {
  const [ran] = rounding([rewritten], env, F32);
  const [exact] = rounding([meant], env, F64);
  return exact.value.data.reduce((worst, x, i) => {
    const bound = ran.error[i] + exact.error[i];
    if (!Number.isFinite(bound)) return worst;
    const over = Math.abs(device[i] - x) - bound;
    return Math.max(worst, Number.isNaN(over) ? Infinity : over);
  }, -Infinity);
};
