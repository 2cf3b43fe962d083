/**
 * Rotation of the last axis by the Hadamard matrix: y = x·H, H[i, j] = (−1)^popcount(i & j) / √n.
 *
 * ```text
 * before: one channel of 50 among ones      after: every channel carries a part of it
 * ```
 *
 * H is symmetric and orthogonal, so x = y·H. Spreading an outlier over all channels narrows the range
 * a quantizer has to cover. n is a power of two. H is an expression, not data: it costs no bits.
 * @module
 */
import { constant, contractBy, iota, map, reshape } from "../core/build.ts";
import { ShapeError, shapeText } from "../core/errors.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { axesOf } from "./labelled.ts";

/** Sums over the signs, then one factor: an exact power of two, or a root that no constant of f32 is. */
export const turned = (x: Term, n: number, signs: Term): Term => {
  const lead = x.shape.slice(0, -1).map((_, i) => `x${i}`);
  const sums = contractBy({ args: [[...lead, "d"], ["d", "e"]], out: [...lead, "e"] }, x, signs);
  const root = Math.sqrt(n);
  if (Number.isInteger(root)) return map("mul", sums, 1 / root);
  return map("mul", sums, map("div", 1, map("sqrt", constant(n, []))));
};

/** The signs of H. */
export const signsOf = (n: number): Term => map("hadamard", iota([n, n], 0), iota([n, n], 1));

/** The channels, a power of two. */
export const channelsOf = (operation: string, shape: Shape, batch: number): number => {
  const n = axesOf(operation, shape, batch).channels;
  if (!Number.isInteger(Math.log2(n))) {
    throw new ShapeError(
      operation,
      `last axis of ${shapeText(shape)} is ${n}, not a power of two`,
    );
  }
  return n;
};

/**
 * Rotation of the channels by the Hadamard matrix, y = x·H: an outlier is spread over all of them. One part,
 * `values`, of x's shape. Channels are a power of two, or it is a `ShapeError`.
 */
export const hadamard = (): Factored => {
  const turn = (x: Term, shape: Shape, batch: number): Term => {
    const n = channelsOf("hadamard", shape, batch);
    return reshape(turned(x, n, signsOf(n)), shape);
  };
  return {
    name: "hadamard",
    encode: (x, batch = 0) => ({ [VALUES]: turn(x, x.shape, batch) }),
    decode: (parts, shape, batch = 0) => turn(parts[VALUES], shape, batch),
    partShapes: (shape) => ({ [VALUES]: shape }),
  };
};
