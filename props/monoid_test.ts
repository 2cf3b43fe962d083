/** Binds the laws of the fold monoids. */
import fc from "fast-check";
import * as M from "../dsl/core/monoid.ts";
import { check } from "./check.ts";
import { U } from "./laws/codec.ts";
import { associativeLaw, identityLaw, near, type Same, splitLaw } from "./laws/monoid.ts";

const numbers = fc.oneof(
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.constantFrom(0, -0, 1e30, -1e30, 1e-30, 1e-40),
);
/** Three segments, any of which may be empty or of one element. */
const three = <T>(element: fc.Arbitrary<T>): fc.Arbitrary<T[][]> =>
  fc.array(fc.array(element, { maxLength: 12 }), { minLength: 3, maxLength: 3 });

const all = <E, A>(m: M.FoldMonoid<E, A>, same: Same<A>, segments: E[][]): boolean =>
  identityLaw(m, same, segments[0]) && associativeLaw(m, same, segments) &&
  splitLaw(m, same, segments);

check(
  "sum, within rounding of its terms",
  fc.property(three(numbers), (s) => {
    const limit = 2 * 36 * U * s.flat().reduce((t, x) => t + Math.abs(x), 0);
    return all(M.sum, (a, b) => Math.abs(a - b) <= limit, s);
  }),
);

check(
  "max and extent, exactly",
  fc.property(three(numbers), (s) =>
    all(M.max, (a, b) => a === b, s) &&
    all(M.extent, (a, b) => a.lo === b.lo && a.hi === b.hi, s)),
);

const vectors = fc.array(numbers, { minLength: 3, maxLength: 3 }).map((v) => Float64Array.from(v));

check(
  "gram, within rounding of its terms",
  fc.property(three(vectors), (s) => {
    const limit = 2 * 37 * U *
      s.flat().reduce((t, v) => t + M.gram(3).lift(v).reduce((a, x) => a + Math.abs(x), 0), 0);
    return all(M.gram(3), (a, b) => near(a, b, limit), s);
  }),
);

const scored = fc.record({
  score: fc.oneof(
    fc.double({ min: -100, max: 100, noNaN: true }),
    fc.constantFrom(M.MASKED, M.MASKED, -1e30, 1e30, 0),
  ),
  value: fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: 2, maxLength: 2 })
    .map((v) => Float64Array.from(v)),
});

const mean = M.softmax(2).project.mean;
/** A score relative to the maximum is off by u · 200, and so is its weight; 36 terms of at most 9. */
const sameMean: Same<M.Weighted> = (a, b) =>
  a.m === b.m && near(mean(a) as Float64Array, mean(b) as Float64Array, 9 * (2 * 36 + 3 * 200) * U);

check(
  "softmax: empty, single and masked segments merge",
  fc.property(three(scored), (s) => all(M.softmax(2), sameMean, s)),
  400,
);

check(
  "softmax: a masked segment changes nothing, only masked gives zeros",
  fc.property(fc.array(scored, { maxLength: 9 }), fc.array(vectors, { maxLength: 5 }), (s, v) => {
    const m = M.softmax(2);
    const masked = v.map((value) => ({ score: M.MASKED, value: value.subarray(0, 2) }));
    const [some, none] = [M.foldMap(m, s), M.foldMap(m, masked)];
    return near(mean(none) as Float64Array, [0, 0], 0) &&
      near(mean(m.concat(some, none)) as Float64Array, mean(some) as Float64Array, 0) &&
      near(mean(m.concat(none, some)) as Float64Array, mean(some) as Float64Array, 0);
  }),
);
