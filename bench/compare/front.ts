/**
 * The Pareto front: entries that no other beats in both things asked for.
 * @module
 */

/** Which points no other point is at least as small as in both, and smaller in one. */
export const front = <A>(
  points: readonly A[],
  x: (a: A) => number,
  y: (a: A) => number,
): readonly A[] =>
  points.filter((a) =>
    !points.some((b) => x(b) <= x(a) && y(b) <= y(a) && (x(b) < x(a) || y(b) < y(a)))
  ).toSorted((a, b) => x(a) - x(b));
