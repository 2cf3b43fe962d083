/**
 * What a prediction leaves: x = prediction + rest. The prediction is of what a reader has as well: a
 * tensor decoded before, mapped to this one.
 *
 * ```text
 * before: keys of layer 2      after: keys less W·(keys of layer 1 as decoded), a fraction of their size
 * ```
 *
 * Attention takes it apart: q·(W·k + rest) = (q·W)·k + q·rest, both over codes.
 * @module
 */
import { map } from "../core/build.ts";
import { ShapeError, shapeText } from "../core/errors.ts";
import type { Shape, Term } from "../core/term.ts";
import type { Factored } from "./codec.ts";

/**
 * What a prediction leaves: x = prediction + rest. The prediction is a term of x's shape that a reader has as well,
 * another shape is a `ShapeError`. One part, `rest`.
 */
export const predict = (prediction: Term): Factored => {
  const checked = (shape: Shape): Term => {
    if (prediction.shape.join() === shape.join()) return prediction;
    throw new ShapeError(
      "predict",
      `prediction is ${shapeText(prediction.shape)}, the tensor ${shapeText(shape)}`,
    );
  };
  return {
    name: "predict",
    encode: (x) => ({ rest: map("sub", x, checked(x.shape)) }),
    decode: ({ rest }, shape) => map("add", checked(shape), rest),
    partShapes: (shape) => ({ rest: shape }),
  };
};
