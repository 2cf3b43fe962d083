/**
 * Tokens held within a multiple of the root of their mean square: rare values do not set the range.
 *
 * ```text
 * before: a normal token up to ±3.2      after: within ±2.05, the .96 quantile of its magnitudes
 * ```
 *
 * What is beyond comes back as the limit: the loss of the ideal, which every bound counts. After a rotation
 * values are normal, so a multiple of the root stands for a quantile, which is no fold: that of the d magnitudes
 * of a token, by the expected place of an ordered one, (k − 3/8) / (d + 1/4) of the k-th (Blom 1958).
 * @module
 */
import { map } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Shape } from "../core/term.ts";
import { magnitudeQuantile } from "../quantize/levels.ts";
import { axesOf } from "./labelled.ts";
import { rootMeanSquare, scopeOf, spread } from "../quantize/scope.ts";

/** The multiple of the root mean square of d normal numbers at which their magnitudes have this quantile. */
const multipleOf = (quantile: number, d: number): number =>
  magnitudeQuantile((quantile * (d - 1) + 1 - 3 / 8) / (d + 1 / 4));

/**
 * Tokens held within ± `at` times their root mean square, or within a quantile (0 to 1) of the magnitudes of as
 * many normal numbers. One part, `values`; what lies beyond is lost, and counted by every bound.
 */
export const clip = (at: number | { readonly quantile: number }): Factored => {
  const name = typeof at === "number" ? `clip(${at})` : `clip(quantile ${at.quantile})`;
  const [asked, most] = typeof at === "number" ? [at, Infinity] : [at.quantile, 1];
  if (!(asked > 0 && asked <= most)) {
    throw new ValueError(name, most === 1 ? "is not from 0 to 1" : "is not a positive multiple");
  }
  const multiple = (shape: Shape): number =>
    typeof at === "number" ? at : multipleOf(at.quantile, axesOf(name, shape, 0).channels);
  return {
    name,
    encode: (x, batch = 0) => {
      const scope = scopeOf("clip", "token", x.shape, batch);
      const limit = spread(map("mul", rootMeanSquare(x, scope), multiple(x.shape)), scope);
      return { [VALUES]: map("max", map("min", x, limit), map("neg", limit)) };
    },
    decode: (parts) => parts[VALUES],
    partShapes: (shape) => ({ [VALUES]: shape }),
  };
};
