/**
 * Channels cut into ranges, each stored by a codec of its own: more bits where more is at stake.
 *
 * ```text
 * split([16, 48], [quantize 4 bits, quantize 2 bits])      channels 0 … 15 and 16 … 63
 * ```
 *
 * Channels that belong together but do not lie side by side come first by `reorder`. Attention multiplies
 * each range by its part of the query, and sums each range of the values by itself.
 * @module
 */
import { cast } from "../core/build.ts";
import { concat, slice } from "../core/pieces.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import type { Shape } from "../core/term.ts";
import { type Codec, type Factored, on } from "./codec.ts";

const named = (i: number): string => `range${i}`;

/** The ranges of channels, each a part: `range0`, `range1`, … */
const ranges = (sizes: readonly number[]): Factored => {
  const name = `split(${sizes.join(", ")})`;
  if (sizes.length === 0 || !sizes.every((n) => Number.isInteger(n) && n > 0)) {
    throw new ValueError(name, "ranges are not positive whole numbers");
  }
  const channels = sizes.reduce((n, size) => n + size, 0);
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((n, size) => n + size, 0));
  const checked = (shape: Shape): number => {
    const last = shape.length - 1;
    if (shape[last] === channels) return last;
    throw new ShapeError(
      name,
      `ranges have ${channels} channels, the last axis of ${shapeText(shape)} ${shape[last]}`,
    );
  };
  const parts = <A>(part: (size: number, start: number) => A): Readonly<Record<string, A>> =>
    Object.fromEntries(sizes.map((size, i) => [named(i), part(size, starts[i])]));
  return {
    name,
    encode: (x) => {
      const axis = checked(x.shape);
      return parts((size, start) => slice(x, axis, start, start + size));
    },
    decode: (stored, shape) =>
      concat(sizes.map((_, i) => cast(stored[named(i)], "f32")), checked(shape)),
    partShapes: (shape) => {
      checked(shape);
      return parts((size) => [...shape.slice(0, -1), size]);
    },
  };
};

/**
 * Ranges of channels, each by its codec; a range without one is stored as it is.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, quantize, split } from "kvfold";
 * const at = (bits: 2 | 4) => quantize({ bits, per: "tensor", range: "symmetric" });
 * ok(bitsOf(split([16, 48], [at(4), at(2)]), ["heads", "tokens", 64]) === (16 * 4 + 48 * 2) / 64);
 * ```
 */
export const split = (sizes: readonly number[], codecs: readonly Codec[] = []): Factored => {
  if (codecs.length > sizes.length) {
    throw new ValueError(
      `split(${sizes.join(", ")})`,
      `${codecs.length} codecs are given for ${sizes.length} ranges`,
    );
  }
  return codecs.reduce<Factored>((made, codec, i) => on(named(i), codec)(made), ranges(sizes));
};
