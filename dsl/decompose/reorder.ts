/**
 * Channels in another order: channel i of the result is channel `order[i]` of the tensor.
 *
 * ```text
 * before: outlier channels 3 and 40 among the rest      after: channels 0 and 1, a range for `split`
 * ```
 *
 * A product with a matrix of ones and zeros, which is an expression: attention moves it to the query and to
 * the output, so that reading a cache costs nothing. The order is known beforehand and costs no bits.
 * @module
 */
import { broadcast, contractBy, iota, table } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { same } from "../core/marks.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Term } from "../core/term.ts";
import { axesOf } from "./labelled.ts";

/**
 * Channels in another order: channel i of `values` is channel `order[i]` of x. One part of x's shape; the order is
 * a constant of the program and costs no bits. An `order` that is none is a `ValueError`.
 */
export const reorder = (order: readonly number[]): Factored => {
  const n = order.length;
  const name = `reorder(${order.join(" ")})`;
  if (
    new Set(order).size !== n || !order.every((at) => Number.isInteger(at) && at >= 0 && at < n)
  ) {
    throw new ValueError(name, `is no order of ${n} channels`);
  }
  const turn = (x: Term, batch: number, back: boolean): Term => {
    const { channels } = axesOf("reorder", x.shape, batch);
    if (channels !== n) {
      throw new ShapeError("reorder", `orders ${n} channels, got ${shapeText(x.shape)}`);
    }
    const lead = x.shape.slice(0, -1).map((_, i) => `x${i}`);
    const picked = same(iota([n, n], 0), broadcast(table(order), [n, n], [1]));
    const own = back ? ["e", "d"] : ["d", "e"];
    return contractBy({ args: [[...lead, "d"], own], out: [...lead, "e"] }, x, picked);
  };
  return {
    name,
    encode: (x, batch = 0) => ({ [VALUES]: turn(x, batch, false) }),
    decode: (parts, _shape, batch = 0) => turn(parts[VALUES], batch, true),
    partShapes: (shape) => ({ [VALUES]: shape }),
  };
};
