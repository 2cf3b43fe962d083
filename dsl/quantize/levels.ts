/**
 * Codebooks: the values that codes stand for, in ascending order.
 *
 * ```text
 * lloydMax(2)   −1.5104 −0.4528 0.4528 1.5104       least squares for N(0, 1)
 * nf4           −1 … 1                              quantiles of N(0, 1), for x / max|x|
 * e2m1          0 .5 1 1.5 2 3 4 6 and their negatives, over 6: FP4 for x / max|x|
 * ```
 * @module
 */
import type { Bits } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";

/** Density of N(0, 1). */
const density = (x: number): number => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);

/** P(0 < X < x) of N(0, 1): φ(x)·(x + x³/3 + x⁵/15 + …), exact to rounding where Lloyd–Max looks. */
const within = (x: number): number => {
  let [term, sum] = [x, x];
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) sum += term *= x * x / k;
  return density(x) * sum;
};

/** The number that the magnitude of a normal number stays below with probability p, by halving. */
export const magnitudeQuantile = (p: number): number => {
  if (!(p >= 0 && p <= 1 - 1e-9)) {
    throw new ValueError("magnitudeQuantile", `p is ${p}, not a probability well below 1`);
  }
  let [low, high] = [0, 8];
  for (let middle = 4; middle > low && middle < high; middle = (low + high) / 2) {
    if (2 * within(middle) < p) low = middle;
    else high = middle;
  }
  return low;
};

/** Mean of X between a and b. */
const mean = (a: number, b: number): number => {
  const top = b === Infinity ? 0.5 : within(b);
  const fall = density(a) - (b === Infinity ? 0 : density(b));
  return fall / (top - within(a));
};

const known = new Map<number, readonly number[]>();

/**
 * Centroids of the least mean square error for N(0, 1) (Max 1960, Lloyd 1982): each is the mean of what is
 * nearest to it, for 1 to 4 bits. Found by Lloyd's iteration on the half above 0; the other half is its mirror image.
 */
export const lloydMax = (bits: Bits): readonly number[] => {
  if (bits > 4) {
    throw new ValueError("lloydMax", `bits are ${bits}, not one of 1, 2, 3, 4`);
  }
  const old = known.get(bits);
  if (old !== undefined) return old;
  const half = 2 ** (bits - 1);
  let above = Array.from({ length: half }, (_, i) => 3 * (i + 0.5) / half);
  for (let moved = 1; moved > 1e-12;) {
    const cuts = [0, ...above.slice(1).map((c, i) => (c + above[i]) / 2), Infinity];
    const next = above.map((_, i) => mean(cuts[i], cuts[i + 1]));
    moved = next.reduce((top, c, i) => Math.max(top, Math.abs(c - above[i])), 0);
    above = next;
  }
  const all = Object.freeze([...above.map((c) => -c).reverse(), ...above]);
  known.set(bits, all);
  return all;
};

/** Mean square error of {@link lloydMax} for N(0, 1): what its centroids leave of a variance of 1. */
export const lloydMaxError = (bits: Bits | 0): number => {
  if (bits === 0) return 1;
  const above = lloydMax(bits).filter((c) => c > 0);
  const cuts = [0, ...above.slice(1).map((c, i) => (c + above[i]) / 2)];
  const below = (i: number): number => i === cuts.length ? 0.5 : within(cuts[i]);
  return 1 - 2 * above.reduce((sum, c, i) => sum + (below(i + 1) - below(i)) * c * c, 0);
};

/** NormalFloat 4 (arXiv 2305.14314, as its authors' code lists it): values in [−1, 1]. */
export const nf4: readonly number[] = [
  -1,
  -0.6961928009986877,
  -0.5250730514526367,
  -0.39491748809814453,
  -0.28444138169288635,
  -0.18477343022823334,
  -0.09105003625154495,
  0,
  0.07958029955625534,
  0.16093020141124725,
  0.24611230194568634,
  0.33791524171829224,
  0.44070982933044434,
  0.5626170039176941,
  0.7229568362236023,
  1,
];

const magnitudes = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

/** E2M1 as it is, −6 to 6: what a scale that is a power of two multiplies. */
export const fp4: readonly number[] = [
  ...magnitudes.slice(1).map((x) => -x).reverse(),
  ...magnitudes,
];

/** E2M1, the 4-bit float of the OCP microscaling formats, over its largest value: one code of 16 is spare. */
export const e2m1: readonly number[] = fp4.map((x) => x / 6);
