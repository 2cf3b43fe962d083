/**
 * Channels that reach far made smaller: x = size · values, a size for every channel, size = (max |x|)^α.
 *
 * ```text
 * before: channels up to 50 and up to 2      after, α = ½: up to 7 and up to 1.4, and sizes 7 and 1.4
 * ```
 *
 * α = 1 evens channels out, α = 0 leaves them as they are; in between the largest values still count for more.
 * Attention multiplies the query by the sizes of K, and the output by those of V, once. Sizes are those of the
 * prompt: later tokens meet them as they are stored. A channel of zeros has size 0 and values 0.
 * @module
 */
import { broadcast, cast, foldOver, map, reshape } from "../core/build.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { powers } from "../quantize/power.ts";
import { axesOf } from "./labelled.ts";

/** What {@link smooth} is asked for. */
export interface Smoothing {
  /** How much of a channel's reach its size takes up, 0 to 1; 1/256 is its step. */
  readonly alpha?: number;
  /** How sizes are stored. */
  readonly stored?: "f16" | "f32";
}

/**
 * Sizes of channels and the values over them: x = sizes·values, sizes = (max |x|)^alpha over all tokens. Parts:
 * `sizes` `[heads, d]` and `values` of x's shape.
 */
export const smooth = ({ alpha = 0.5, stored = "f16" }: Smoothing = {}): Factored => {
  const name = `smooth(${alpha}, ${stored})`;
  const without = (shape: Shape): Shape => shape.filter((_, i) => i !== shape.length - 2);
  const spread = (sizes: Term, shape: Shape): Term =>
    broadcast(sizes, shape, shape.map((_, i) => i).filter((i) => i !== shape.length - 2));
  return {
    name,
    encode: (x, batch = 0) => {
      axesOf(name, x.shape, batch);
      const reach = foldOver("max", "max", map("abs", x), [x.shape.length - 2]);
      const sizes = cast(reshape(powers(reach, [alpha]), reach.shape), stored);
      return { sizes, [VALUES]: map("div", x, spread(sizes, x.shape)) };
    },
    decode: ({ sizes, [VALUES]: values }, shape) => map("mul", values, spread(sizes, shape)),
    partShapes: (shape) => ({ sizes: without(shape), [VALUES]: shape }),
  };
};
