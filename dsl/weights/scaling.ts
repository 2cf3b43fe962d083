/**
 * Scaling the channels between a norm and the linear maps that read it: W·diag(s) reads x/s, and the gain
 * of the norm becomes gain/s. In real arithmetic nothing changes.
 * @module
 */
import { broadcast, map } from "../core/build.ts";
import type { Shape, Term } from "../core/term.ts";
import { mapped, type Shared } from "./scheme.ts";

/** A vector along the columns of a matrix or of a stack of matrices, one a row of a stack of vectors. */
export const acrossColumns = (s: Term, shape: Shape): Term =>
  broadcast(s, shape, s.shape.length === 1 ? [shape.length - 1] : [0, shape.length - 1]);

/** The same maps with channel j of their input divided by s_j; statistics follow. */
export const rescaled = ({ gain, weights, inputs }: Shared, s: Term): Shared => {
  const n = s.shape[0];
  const [rows, columns] = [0, 1].map((axis) => broadcast(s, [n, n], [axis]));
  return {
    ...gain === undefined ? {} : { gain: map("div", gain, s) },
    weights: mapped(weights, (w) => map("mul", w, acrossColumns(s, w.shape))),
    inputs: {
      max: map("div", inputs.max, s),
      sum: map("div", inputs.sum, s),
      gram: map("div", map("div", inputs.gram, rows), columns),
    },
  };
};
