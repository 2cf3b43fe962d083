/**
 * Points of the unit circle that stand for directions.
 *
 * ```text
 * circle(4)        16 points at even angles, half a step off the axes
 * quadrant(2, 2)   4 points with no negative coordinate: angles .3098 .6340 .9368 1.2610
 * ```
 *
 * Between two radii of 2^(ℓ−1) independent normal numbers each, the angle φ = atan(b / a) has the density
 * sin^(2^(ℓ−1) − 1)(2φ) on [0, π/2] (arXiv 2502.02617): the higher the level, the closer to π/4. The angles
 * are centroids of that density by Lloyd's iteration.
 * @module
 */
import type { Bits } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";
import { type Grid, gridOf, type Point } from "./grid.ts";

const pointAt = (angle: number): Point => [Math.cos(angle), Math.sin(angle)];

/** Points at even angles on the whole circle. */
export const circle = (bits: Bits): readonly Point[] => {
  const count = 2 ** bits;
  return Array.from({ length: count }, (_, i) => pointAt(2 * Math.PI * (i + 0.5) / count));
};

/** Cells in which the density is summed. */
const CELLS = 4096;

/** Centroids of the angle of two radii of level `level` − 1, from 2 on, ascending. */
export const quadrantAngles = (bits: Bits, level: number): readonly number[] => {
  if (!(Number.isInteger(level) && level > 1)) {
    throw new ValueError("quadrantAngles", `level is ${level}, not a whole number above 1`);
  }
  const power = 2 ** (level - 1) - 1;
  const count = 2 ** bits;
  const cells = Array.from({ length: CELLS }, (_, i) => {
    const angle = (i + 0.5) / CELLS * Math.PI / 2;
    return [angle, Math.sin(2 * angle) ** power] as const;
  });
  let angles = Array.from({ length: count }, (_, i) => (i + 0.5) / count * Math.PI / 2);
  for (let moved = 1; moved > 1e-9;) {
    const sums = angles.map(() => [0, 0]);
    let at = 0;
    for (const [angle, weight] of cells) {
      while (at + 1 < count && angle > (angles[at] + angles[at + 1]) / 2) at++;
      sums[at][0] += weight * angle;
      sums[at][1] += weight;
    }
    const next = sums.map(([sum, weight], i) => weight > 0 ? sum / weight : angles[i]);
    moved = next.reduce((top, a, i) => Math.max(top, Math.abs(a - angles[i])), 0);
    angles = next;
  }
  return angles;
};

/** The points at {@link quadrantAngles}. */
export const quadrant = (bits: Bits, level: number): Grid =>
  gridOf(2 ** bits, () => quadrantAngles(bits, level).map(pointAt));
