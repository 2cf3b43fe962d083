/**
 * The mean of every channel over all tokens, and what is left: x = mean + values.
 *
 * ```text
 * before: a channel around 50      after: mean 50, values around 0
 * ```
 *
 * The values are against the mean as it is stored, so that what storing rounds off is not lost. Attention
 * takes the mean apart: the same number for all scores of a row, and once for the output. The mean belongs
 * to the prompt: later tokens meet the mean that is stored, unless `online` makes it anew.
 * @module
 */
import { broadcast, cast, constant, foldOver, map, reshape } from "../core/build.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { axesOf } from "./labelled.ts";

/** What {@link center} is asked for. */
export interface Centring {
  /** How the mean is stored. */
  readonly stored?: "f16" | "f32";
}

/**
 * The mean of every channel over all tokens, and the values around it: x = mean + values. Parts: `mean`
 * `[heads, d]` and `values` of x's shape.
 */
export const center = ({ stored = "f16" }: Centring = {}): Factored => {
  const tokens = (shape: Shape): number => shape.length - 2;
  const without = (shape: Shape): Shape => shape.filter((_, i) => i !== tokens(shape));
  const spread = (mean: Term, shape: Shape): Term =>
    broadcast(mean, shape, shape.map((_, i) => i).filter((i) => i !== tokens(shape)));
  return {
    name: `center(${stored})`,
    encode: (x) => {
      axesOf("center", x.shape, 0);
      const over = [tokens(x.shape)];
      const count = foldOver("sum", "sum", constant(1, [x.shape[over[0]]]), [0]);
      const total = foldOver("sum", "sum", map("div", x, count), over);
      const mean = cast(total, stored);
      return { mean, [VALUES]: map("sub", x, spread(mean, x.shape)) };
    },
    decode: ({ mean, [VALUES]: values }, shape) => map("add", values, spread(mean, shape)),
    learn: {
      sums: (x) => {
        const over = [tokens(x.shape)];
        const count = foldOver("sum", "sum", constant(1, [x.shape[over[0]]]), [0]);
        return { total: foldOver("sum", "sum", x, over), count: reshape(count, [1]) };
      },
      fixed: ({ total, count }) => {
        const all = broadcast(reshape(count, []), total.shape, []);
        return { mean: cast(map("div", total, all), stored) };
      },
    },
    partShapes: (shape) => ({ mean: without(shape), [VALUES]: shape }),
  };
};
