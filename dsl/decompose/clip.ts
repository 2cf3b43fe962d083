/**
 * Tokens held within a multiple of the root of their mean square: rare values do not set the range.
 *
 * ```text
 * before: a normal token up to ±3.2      after: within ±2.05, the .96 quantile of its magnitudes
 * ```
 *
 * What is beyond comes back as the limit: the loss of the ideal, which every bound counts. After a rotation
 * values are normal, so a multiple of the root stands for a quantile, which is no fold.
 * @module
 */
import { map } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import { rootMeanSquare, scopeOf, spread } from "../quantize/scope.ts";

/** The codec of tokens within ± `at` times their root mean square, one part; see the head of the file. */
export const clip = (at: number): Factored => {
  const name = `clip(${at})`;
  if (!(at > 0)) throw new ValueError(name, "is not a positive multiple");
  return {
    name,
    encode: (x, batch = 0) => {
      const scope = scopeOf("token", x.shape, batch);
      const limit = spread(map("mul", rootMeanSquare(x, scope), at), scope);
      return { [VALUES]: map("max", map("min", x, limit), map("neg", limit)) };
    },
    decode: (parts) => parts[VALUES],
    partShapes: (shape) => ({ [VALUES]: shape }),
  };
};
