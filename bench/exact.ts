/**
 * Attention by plain loops in f64: what results at full size are held to.
 * @module
 */
import type { Sizes } from "./caches.ts";

/** One decode step of queries `[kv, group, dim]` over keys and values `[kv, tokens, dim]`. */
export const exactly = (
  { sizes: { kv, group, dim }, tokens, q }: {
    readonly sizes: Sizes;
    readonly tokens: number;
    readonly q: ArrayLike<number>;
  },
  k: ArrayLike<number>,
  v: ArrayLike<number>,
): Float64Array => {
  const out = new Float64Array(kv * group * dim);
  const weights = new Float64Array(tokens);
  for (let head = 0; head < kv * group; head++) {
    const start = Math.floor(head / group) * tokens;
    let top = -Infinity;
    for (let t = 0; t < tokens; t++) {
      let score = 0;
      for (let d = 0; d < dim; d++) score += q[head * dim + d] * k[(start + t) * dim + d];
      weights[t] = score / Math.sqrt(dim);
      top = Math.max(top, weights[t]);
    }
    let sum = 0;
    for (let t = 0; t < tokens; t++) {
      const weight = Math.exp(weights[t] - top);
      sum += weight;
      for (let d = 0; d < dim; d++) out[head * dim + d] += weight * v[(start + t) * dim + d];
    }
    for (let d = 0; d < dim; d++) out[head * dim + d] /= sum;
  }
  return out;
};
