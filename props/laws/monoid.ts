/**
 * Laws of the fold monoids: why a context may be split, appended to and merged.
 * @module
 */
import { foldMap, type FoldMonoid } from "../../dsl/core/monoid.ts";

/** Are two folds equal? Exact for a choice (max), within rounding for a sum. */
export type Same<A> = (a: A, b: A) => boolean;

/** empty <> a = a = a <> empty. */
export const identityLaw = <E, A>(m: FoldMonoid<E, A>, same: Same<A>, a: readonly E[]): boolean => {
  const x = foldMap(m, a);
  return same(m.concat(m.empty, x), x) && same(m.concat(x, m.empty), x);
};

/** (a <> b) <> c = a <> (b <> c). */
export const associativeLaw = <E, A>(
  m: FoldMonoid<E, A>,
  same: Same<A>,
  [a, b, c]: readonly (readonly E[])[],
): boolean => {
  const [x, y, z] = [a, b, c].map((s) => foldMap(m, s));
  return same(m.concat(m.concat(x, y), z), m.concat(x, m.concat(y, z)));
};

/** fold(a ++ b ++ c) = fold(a) <> fold(b) <> fold(c), segments may be empty. */
export const splitLaw = <E, A>(
  m: FoldMonoid<E, A>,
  same: Same<A>,
  segments: readonly (readonly E[])[],
): boolean =>
  same(
    foldMap(m, segments.flat()),
    segments.reduce((acc, s) => m.concat(acc, foldMap(m, s)), m.empty),
  );

/** All numbers of two tensors within `tolerance` of each other. */
export const near = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number): boolean =>
  a.length === b.length &&
  Array.from(a).every((x, i) => x === b[i] || Math.abs(x - b[i]) <= tolerance);
