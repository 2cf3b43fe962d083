/**
 * Attention as a textbook writes it: all scores, a softmax, a weighted sum.
 * @module
 */

/** Sizes of one attention. */
export interface Sizes {
  readonly kv: number;
  readonly group: number;
  readonly rows: number;
  readonly tokens: number;
  readonly d: number;
  readonly e: number;
}

/** Numbers of one attention. */
export interface Tensors {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
}

/** The result for rows that see the tokens up to i + offset. */
export const textbook = (z: Sizes, { q, k, v }: Tensors, offset: number): Float64Array => {
  const out = new Float64Array(z.kv * z.group * z.rows * z.e);
  for (let at = 0; at < z.kv * z.group * z.rows; at++) {
    const [h, i] = [Math.floor(at / z.rows / z.group), at % z.rows];
    const seen = Math.max(0, Math.min(z.tokens, i + offset + 1));
    const scores = Array.from({ length: seen }, (_, t) => {
      let s = 0;
      for (let c = 0; c < z.d; c++) s += q[at * z.d + c] * k[(h * z.tokens + t) * z.d + c];
      // A constant of a program is an f32.
      return s * Math.fround(1 / Math.sqrt(z.d));
    });
    const top = Math.max(...scores);
    const weights = scores.map((s) => Math.exp(s - top));
    const total = weights.reduce((t, w) => t + w, 0);
    for (let c = 0; c < z.e; c++) {
      weights.forEach((w, t) => out[at * z.e + c] += w / total * v[(h * z.tokens + t) * z.e + c]);
    }
  }
  return out;
};
