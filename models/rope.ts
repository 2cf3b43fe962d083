/**
 * Rotary positions in numbers: tables of angles, queries turned back, and what rotations to come are in the mean.
 *
 * ```text
 * pair i of token t turns by t · theta^(−2i/d):   (a, b) -> (a cos − b sin, a sin + b cos)
 * ```
 * A pair is channels 2i and 2i + 1, or i and i + d/2.
 * @module
 */
import type { Rope } from "../mod.ts";
import type { ModelConfig } from "./config.ts";

/** How a model turns its keys, for a codec that stores them as they were before. */
export const ropeOf = ({ ropeTheta, ropeInterleaved }: ModelConfig): Rope => ({
  base: ropeTheta,
  pairs: ropeInterleaved ? "neighbours" : "halves",
});

/** Cosines and sines of the angles token · theta^(−2i/d) from a token on, computed in f64. */
export const ropeTables = (
  { headDim, ropeTheta }: ModelConfig,
  tokens: number,
  from = 0,
): { readonly cos: Float64Array; readonly sin: Float64Array } => {
  const half = headDim / 2;
  const angles = Float64Array.from(
    { length: tokens * half },
    (_, at) => (from + Math.floor(at / half)) * ropeTheta ** (-2 * (at % half) / headDim),
  );
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin) };
};

/** The channels of pair i. */
const pairOf = ({ headDim, ropeInterleaved }: ModelConfig, i: number): readonly [number, number] =>
  ropeInterleaved ? [2 * i, 2 * i + 1] : [i, i + headDim / 2];

/** Rows `[heads, tokens, d]` turned by their places, or turned back (−1). */
const turnedBy = (
  c: ModelConfig,
  rows: ArrayLike<number>,
  tokens: number,
  way: 1 | -1,
): Float64Array => {
  const { headDim: d } = c;
  const { cos, sin } = ropeTables(c, tokens);
  const out = new Float64Array(rows.length);
  for (let row = 0; row < rows.length / d; row++) {
    for (let i = 0; i < d / 2; i++) {
      const [a, b] = pairOf(c, i).map((at) => row * d + at) as [number, number];
      const at = row % tokens * d / 2 + i;
      out[a] = rows[a]! * cos[at]! - way * rows[b]! * sin[at]!;
      out[b] = rows[b]! * cos[at]! + way * rows[a]! * sin[at]!;
    }
  }
  return out;
};

/** Rows `[heads, tokens, d]` as they were before they were turned. */
export const unturned = (
  c: ModelConfig,
  turned: ArrayLike<number>,
  tokens: number,
): Float64Array => turnedBy(c, turned, tokens, -1);

/** The same in the order in which they are stored: first channels of all pairs, then second ones. */
export const storedUnturned = (
  c: ModelConfig,
  turned: ArrayLike<number>,
  tokens: number,
): Float64Array => {
  const { headDim: d } = c;
  const rows = unturned(c, turned, tokens);
  return rows.map((_, at) => {
    const channel = at % d;
    return rows[at - channel + pairOf(c, channel % (d / 2))[Math.floor(2 * channel / d)]!]!;
  });
};

/**
 * Σ q qᵀ as keys before RoPE meet it, which are looked at from places behind them: the mean of R·W·Rᵀ over the
 * distances of all pairs of so many tokens, `[d, d]` in the order in which keys are stored.
 */
export const fromPlaces = (
  c: ModelConfig,
  weight: readonly (readonly number[])[],
  tokens: number,
): number[][] => {
  const half = c.headDim / 2;
  const { cos, sin } = ropeTables(c, tokens);
  const out = weight.map((row) => row.map(() => 0));
  for (let i = 0; i < half; i++) {
    for (let j = 0; j < half; j++) {
      const [aa, ab, ba, bb] = [[i, j], [i, j + half], [i + half, j], [i + half, j + half]]
        .map(([r, s]) => weight[r!]![s!]!) as [number, number, number, number];
      for (let t = 0; t < tokens; t++) {
        const [c1, s1] = [cos[t * half + i]!, sin[t * half + i]!];
        const [c2, s2] = [cos[t * half + j]!, sin[t * half + j]!];
        const share = 2 * (tokens - t) / (tokens * (tokens + 1));
        // One side turned, then the other.
        const [xa, xb] = [aa * c2 - ab * s2, aa * s2 + ab * c2];
        const [ya, yb] = [ba * c2 - bb * s2, ba * s2 + bb * c2];
        out[i]![j]! += share * (c1 * xa - s1 * ya);
        out[i]![j + half]! += share * (c1 * xb - s1 * yb);
        out[i + half]![j]! += share * (s1 * xa + c1 * ya);
        out[i + half]![j + half]! += share * (s1 * xb + c1 * yb);
      }
    }
  }
  return out;
};

/** Rows `[heads, tokens, d]` less what the mean of each channel before it was turned is at their place. */
export const aroundMean = (
  c: ModelConfig,
  turned: ArrayLike<number>,
  tokens: number,
): Float64Array => {
  const { headDim: d } = c;
  const before = unturned(c, turned, tokens);
  const ofMeans = (at: number): number => Math.floor(at / (tokens * d)) * d + at % d;
  const means = new Float64Array(before.length / tokens);
  before.forEach((x, at) => means[ofMeans(at)]! += x / tokens);
  const there = turnedBy(c, before.map((_, at) => means[ofMeans(at)]!), tokens, 1);
  return there.map((mean, at) => turned[at]! - mean);
};

/** Places ahead of a prompt over which rotations are averaged, as ExpectedAttention has it. */
const AHEAD = 512;

/** The mean of the rotations of the places behind a prompt, `[d, d]`: rows by what comes out. */
export const meanAhead = (c: ModelConfig, prompt: number): Float64Array => {
  const { headDim: d } = c;
  const { cos, sin } = ropeTables(c, AHEAD, prompt);
  const out = new Float64Array(d * d);
  for (let i = 0; i < d / 2; i++) {
    const [a, b] = pairOf(c, i);
    const mean = (of: Float64Array): number => {
      let sum = 0;
      for (let t = 0; t < AHEAD; t++) sum += of[t * d / 2 + i]!;
      return sum / AHEAD;
    };
    out[a * d + a] = out[b * d + b] = mean(cos);
    out[b * d + a] = mean(sin);
    out[a * d + b] = -mean(sin);
  }
  return out;
};
