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

/** Rows `[heads, tokens, d]` as they were before they were turned. */
export const unturned = (
  c: ModelConfig,
  turned: ArrayLike<number>,
  tokens: number,
): Float64Array => {
  const { headDim: d } = c;
  const { cos, sin } = ropeTables(c, tokens);
  const out = new Float64Array(turned.length);
  for (let row = 0; row < turned.length / d; row++) {
    for (let i = 0; i < d / 2; i++) {
      const [a, b] = pairOf(c, i).map((at) => row * d + at) as [number, number];
      const at = row % tokens * d / 2 + i;
      out[a] = turned[a]! * cos[at]! + turned[b]! * sin[at]!;
      out[b] = turned[b]! * cos[at]! - turned[a]! * sin[at]!;
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
  const means = new Float64Array(before.length / tokens);
  before.forEach((x, at) => {
    means[Math.floor(at / (tokens * d)) * d + at % d]! += x / tokens;
  });
  const { cos, sin } = ropeTables(c, tokens);
  const out = Float64Array.from(turned);
  for (let row = 0; row < out.length / d; row++) {
    const head = Math.floor(row / tokens) * d;
    for (let i = 0; i < d / 2; i++) {
      const [a, b] = pairOf(c, i);
      const at = row % tokens * d / 2 + i;
      out[row * d + a]! -= means[head + a]! * cos[at]! - means[head + b]! * sin[at]!;
      out[row * d + b]! -= means[head + a]! * sin[at]! + means[head + b]! * cos[at]!;
    }
  }
  return out;
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
