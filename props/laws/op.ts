/**
 * Laws of scalar operators.
 * @module
 */
import { type Op, OPS } from "../../dsl/core/ops.ts";
import { against, F64, opError } from "../../dsl/read/machine.ts";

/** An operand, how far off it may be, and the share of that by which it is off, in [−1, 1]. */
export interface Operand {
  readonly x: number;
  readonly e: number;
  readonly share: number;
}

/** |op(x + d) − op(x)| ≤ the error that is claimed for operands that are off by e, for any |d| ≤ e. */
export const opErrorLaw = (op: Op, operands: readonly Operand[]): boolean => {
  const x = operands.map((o) => o.x);
  const moved = operands.map((o) => o.x + o.share * o.e);
  // x + d is rounded itself.
  const e = operands.map((o, i) => Math.max(o.e, Math.abs(moved[i] - o.x)));
  const claim = opError(against(F64), op, x, e, false);
  const { apply } = OPS[op];
  return claim === Infinity || Math.abs(apply(...moved) - apply(...x)) <= claim;
};
