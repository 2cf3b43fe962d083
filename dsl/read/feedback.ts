/**
 * `feedback` in f64, as its meaning: the columns of a matrix are rounded one after the other, and what a
 * column lost is taken off the columns after it.
 * @module
 */
import { OPS } from "../core/ops.ts";
import { rint } from "../core/dtype.ts";
import type { Matrix } from "./linalg.ts";

/** Codes and errors of `[w, u, scale, min, top]`; see `feedback` of `core/build.ts`. */
export const feedback = (
  [w, u, scale, min, top]: readonly Matrix[],
): { codes: Float64Array; errors: Float64Array } => {
  const { rows, cols: n } = w;
  const left = w.data.slice();
  const [codes, errors] = [left.slice(), left.slice()];
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < n; i++) {
      const at = row * n + i;
      const steps = OPS.div.apply(left[at] - min.data[at], scale.data[at]);
      codes[at] = Math.min(Math.max(rint(steps), 0), top.data[at]);
      const lost = left[at] - (scale.data[at] * codes[at] + min.data[at]);
      errors[at] = OPS.div.apply(lost, u.data[i * n + i]);
      for (let j = i + 1; j < n; j++) left[row * n + j] -= errors[at] * u.data[i * n + j];
    }
  }
  return { codes, errors };
};
