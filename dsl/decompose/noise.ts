/**
 * Singular values of noise, and what of a singular value is signal (Gavish and Donoho, arXiv 1405.7511).
 *
 * ```text
 * β = fewer of rows and columns over the more of them, μ the median of Marchenko and Pastur's law
 * t = λ_median / (μ·λ)         share of an eigenvalue λ = σ² of the Gram matrix that noise explains
 * kept share of σ = √(max(1 − (1 + √β)²·t, 0) · max(1 − (1 − √β)²·t, 0))
 * ```
 *
 * With y = σ / (σ̂·√n) and t = 1/y² that is σ̂·√n·√((y² − β − 1)² − 4β) / y over σ, 0 from y = 1 + √β down:
 * the least squared error for white noise of any size. No noise (a median of 0) keeps everything.
 * @module
 */
import { map } from "../core/build.ts";
import { between } from "../core/gaps.ts";
import type { Term } from "../core/term.ts";

/** Points of the law's support at which its density is summed. */
const CELLS = 1024;

/**
 * Median of the eigenvalues of X·Xᵀ / n for X [p, n] of normal numbers of variance 1, β = p / n at most 1. With
 * x = 1 + β + 2·√β·cos θ the density is sin²θ / x, without a pole but for β = 1 at x = 0.
 */
export const noiseMedian = (beta: number): number => {
  if (beta === 0) return 1;
  const cells = Array.from({ length: CELLS }, (_, i) => {
    const angle = Math.PI * (1 - (i + 0.5) / CELLS);
    const x = 1 + beta + 2 * Math.sqrt(beta) * Math.cos(angle);
    return { angle, mass: Math.sin(angle) ** 2 / x };
  });
  let left = cells.reduce((sum, { mass }) => sum + mass, 0) / 2;
  const at = cells.find(({ mass }) => (left -= mass) <= 0)!;
  const angle = at.angle + (left + at.mass / 2) / at.mass * -Math.PI / CELLS;
  return 1 + beta + 2 * Math.sqrt(beta) * Math.cos(angle);
};

/** Steps of β between medians that are known; a straight line in between is off by less than 1e-4. */
const STEPS = 16;
let known: readonly number[] | undefined;

/** {@link noiseMedian} of a number that a program computes. */
export const noiseMedianOf = (beta: Term): Term => {
  known ??= Array.from({ length: STEPS + 1 }, (_, i) => noiseMedian(i / STEPS));
  return between(known, map("mul", beta, STEPS));
};

/** The share of a singular value that is kept, of t and β; see the head of the file. */
export const keptShare = (t: Term, beta: Term): Term => {
  const root = map("sqrt", beta);
  const factor = (edge: Term): Term =>
    map("max", map("sub", 1, map("mul", map("mul", edge, edge), t)), 0);
  return map("sqrt", map("mul", factor(map("add", 1, root)), factor(map("sub", 1, root))));
};
