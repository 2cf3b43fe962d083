/**
 * The most that rounding a vector to points can cost, knowing nothing but the length of the vector.
 *
 * ```text
 * a vector of length Y in cells of one or two coordinates, each to the nearest of its points:
 * e² ≤ max Σ D(rᵢ)²  over  Σ rᵢ² ≤ Y²        D(r): how far from the points a cell of length r may be
 *    ≤ min over λ of  λ·Y² + Σ max_r (D(r)² − λ·r²)
 * ```
 *
 * The last line is the Lagrangian dual, an upper bound for every λ. D is a distance, so it changes by no more
 * than its argument does: looked at in steps, it is off by no more than a step.
 * @module
 */

/** A point of a line or of a plane. */
export type Point = readonly number[];

/** So many cells that are rounded to the same points. */
export interface Cells {
  readonly count: number;
  readonly points: readonly Point[];
}

/** Steps of lengths and of angles. */
const [LENGTHS, ANGLES] = [1024, 128];

const distance = (x: Point, points: readonly Point[]): number => {
  let least = Infinity;
  for (const p of points) {
    least = Math.min(least, Math.hypot(x[0] - p[0], (x[1] ?? 0) - (p[1] ?? 0)));
  }
  return least;
};

/** D at steps of length up to `most`, with what lies between them: on the i-th step it is at most the i-th. */
const distancesOf = (points: readonly Point[], most: number): Float64Array => {
  const step = most / LENGTHS;
  const line = points.every((p) => p.length === 1);
  const at = (r: number): number => {
    if (line) return Math.max(distance([r], points), distance([-r], points));
    let far = 0;
    for (let k = 0; k < ANGLES; k++) {
      const angle = 2 * Math.PI * k / ANGLES;
      far = Math.max(far, distance([r * Math.cos(angle), r * Math.sin(angle)], points));
    }
    // Half of the arc between two angles.
    return far + r * Math.PI / ANGLES;
  };
  const ends = Float64Array.from({ length: LENGTHS + 1 }, (_, i) => at(i * step));
  return Float64Array.from(
    { length: LENGTHS },
    (_, i) => Math.max(ends[i], ends[i + 1]) + step / 2,
  );
};

/** The largest 2-norm of what rounding leaves of a vector of at most this length. */
export const worstOf = (cells: readonly Cells[], length: number): number => {
  const step = length / LENGTHS;
  const squares = cells.map(({ points }) => distancesOf(points, length).map((d) => d * d));
  const dual = (lambda: number): number =>
    cells.reduce((sum, { count }, k) => {
      let most = 0;
      squares[k].forEach((d, i) => most = Math.max(most, d - lambda * (i * step) ** 2));
      return sum + count * most;
    }, lambda * length ** 2);
  // Convex in λ: no cell is worth more than (D(0) + r)² / r².
  let [low, high] = [0, 4];
  for (let i = 0; i < 60; i++) {
    const [a, b] = [low + (high - low) / 3, high - (high - low) / 3];
    if (dual(a) < dual(b)) high = b;
    else low = a;
  }
  return Math.sqrt(dual(high));
};
