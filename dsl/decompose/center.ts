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
 *
 * Keys that RoPE has turned have no mean but a mean that turns: `within: preRope(…)` takes it before they were
 * turned and adds it as it is turned at each place, to keys that stay as they are.
 * @module
 */
import { broadcast, cast, constant, foldOver, map, reshape } from "../core/build.ts";
import { type Factored, type Learn, VALUES } from "../codec/codec.ts";
import { ValueError } from "../core/errors.ts";
import type { Shape, Term } from "../core/term.ts";
import { axesOf } from "./labelled.ts";

/** What {@link center} is asked for. */
export interface Centring {
  /** How the mean is stored. */
  readonly stored?: "f16" | "f32";
  /** Where the mean is that of, and is added to, what this codec of one part makes of a token: `preRope`, say. */
  readonly within?: Factored;
}

/**
 * The mean of every channel over all tokens, and the values around it: x = mean + values, the mean as `within`
 * makes it at each place. Parts: `mean` `[heads, d]` and `values` of x's shape.
 */
export const center = ({ stored = "f16", within }: Centring = {}): Factored => {
  if (within !== undefined && Object.keys(within.partShapes([1, 2])).join() !== VALUES) {
    throw new ValueError("center", `within ${within.name}, which has other parts than ${VALUES}`);
  }
  const tokens = (shape: Shape): number => shape.length - 2;
  const without = (shape: Shape): Shape => shape.filter((_, i) => i !== tokens(shape));
  const seen = (x: Term, batch: number): Term => within?.encode(x, batch)[VALUES] ?? x;
  const spread = (mean: Term, shape: Shape, batch: number): Term => {
    const all = broadcast(mean, shape, shape.map((_, i) => i).filter((i) => i !== tokens(shape)));
    return within?.decode({ [VALUES]: all }, shape, batch) ?? all;
  };
  const countOf = (x: Term): Term =>
    foldOver("sum", "sum", constant(1, [x.shape[tokens(x.shape)]]), [0]);
  const learn: Learn = {
    sums: (x) => ({
      total: foldOver("sum", "sum", x, [tokens(x.shape)]),
      count: reshape(countOf(x), [1]),
    }),
    fixed: ({ total, count }) => {
      const all = broadcast(reshape(count, []), total.shape, []);
      return { mean: cast(map("div", total, all), stored) };
    },
  };
  return {
    name: `center(${[stored, ...within === undefined ? [] : [within.name]].join(", ")})`,
    encode: (x, batch = 0) => {
      axesOf("center", x.shape, 0);
      const shares = map("div", seen(x, batch), countOf(x));
      const mean = cast(foldOver("sum", "sum", shares, [tokens(x.shape)]), stored);
      return { mean, [VALUES]: map("sub", x, spread(mean, x.shape, batch)) };
    },
    decode: ({ mean, [VALUES]: values }, shape, batch = 0) =>
      map("add", values, spread(mean, shape, batch)),
    // A sum over tokens as they come does not know their places.
    ...within === undefined ? { learn } : {},
    partShapes: (shape) => ({ mean: without(shape), [VALUES]: shape }),
  };
};
