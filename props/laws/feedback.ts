/**
 * The law of `feedback` on a device. One code that falls the other way near a tie moves all columns after
 * it, so a device is not compared with f64: each of its codes and errors is held to what it itself made of
 * the columns before.
 * @module
 */
import { rint } from "../../dsl/core/dtype.ts";
import type { Matrix } from "../../dsl/read/linalg.ts";
import { gamma, type Machine } from "../../dsl/read/machine.ts";

/** Operands of `feedback`. */
export type Operands = Readonly<Record<"w" | "u" | "scale" | "min" | "top", Matrix>>;

const clamp = (x: number, top: number): number => Math.min(Math.max(rint(x), 0), top);

/** The first code or error that is not what its column was to give, in words. */
export const feedbackBroken = (
  { w, u, scale, min, top }: Operands,
  { codes, errors }: Readonly<Record<"codes" | "errors", Float64Array>>,
  m: Machine,
): string | undefined => {
  const n = w.cols;
  let lostRow = -1;
  for (let at = 0; at < w.data.length; at++) {
    const i = at % n;
    // Beyond the largest number nothing is promised, and the columns after follow.
    if (lostRow === at - i) continue;
    let [left, size] = [w.data[at], Math.abs(w.data[at])];
    for (let k = 0; k < i; k++) {
      const step = errors[at - i + k] * u.data[k * n + i];
      left -= step;
      size += Math.abs(step);
    }
    if (!(2 * size <= m.huge)) {
      lostRow = at - i;
      continue;
    }
    const moved = gamma(m, 2 * i + 4) * size + (2 * i + 4) * m.tiny;
    const [s, low, c] = [scale.data[at], min.data[at], codes[at]];
    const above = left - low;
    const off = moved + m.u * (Math.abs(above) + moved);
    const reach = s === 0 ? 0 : off / s + m.div * (Math.abs(above) + off) / s + m.tiny;
    const steps = s === 0 ? 0 : above / s;
    const [least, most] = [clamp(steps - reach, top.data[at]), clamp(steps + reach, top.data[at])];
    if (!(c >= least && c <= most && Number.isInteger(c))) {
      return `code ${at} is ${c}, not ${least} to ${most}`;
    }
    const lost = left - (s * c + low);
    const slack = moved + gamma(m, 4) * (size + s * c + Math.abs(low)) + 4 * m.tiny;
    const diagonal = u.data[i * n + i];
    const error = diagonal === 0 ? 0 : lost / diagonal;
    const allowed = diagonal === 0
      ? 0
      : (slack + m.div * (Math.abs(lost) + slack)) / Math.abs(diagonal) + m.tiny;
    const subnormal = diagonal !== 0 && Math.abs(diagonal) < m.tiny;
    if (subnormal || !(Math.abs(error) + allowed + size + slack <= m.huge)) lostRow = at - i;
    else if (!(Math.abs(errors[at] - error) <= allowed)) {
      return `error ${at} is ${errors[at]}, not ${error} within ${allowed}`;
    }
  }
  return undefined;
};
