/** Binds the laws of allotments: no other way to spend as much leaves less. */
import { ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { allot, GRADES, gradesOf, type Way, waysOf } from "../dsl/quantize/allot.ts";
import { lloydMaxError } from "../dsl/quantize/levels.ts";
import { check } from "./check.ts";

const wayArb: fc.Arbitrary<Way> = fc.record({
  words: fc.integer({ min: 0, max: 5 }),
  left: fc.double({ min: 0, max: 10, noNaN: true }),
});

/** The least that any choice of one way a part leaves within the words; `Infinity` if there is none. */
const leastOf = (parts: readonly (readonly Way[])[], words: number): number => {
  const [first, ...rest] = parts;
  if (first === undefined) return words < 0 ? Infinity : 0;
  return Math.min(...first.map((way) => way.left + leastOf(rest, words - way.words)));
};

check(
  "allot: of all choices of one way a part none within the words leaves less",
  fc.property(
    fc.array(fc.array(wayArb, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 }),
    fc.integer({ min: 0, max: 16 }),
    (parts, words) => {
      const least = leastOf(parts, words);
      if (least === Infinity) {
        throws(() => allot(parts, words), /do not suffice/);
        return true;
      }
      const ways = allot(parts, words);
      const [spent, left] = ways.reduce(([w, l], way) => [w + way.words, l + way.left], [0, 0]);
      return ways.length === parts.length && ways.every((way, i) => parts[i].includes(way)) &&
        spent <= words && Math.abs(left - least) <= 1e-12 * (1 + least);
    },
  ),
);

check(
  "gradesOf: falling bits over falling variances, whole words, no more than asked, and none better",
  fc.property(
    fc.constantFrom(32, 64),
    fc.double({ min: 0.1, max: 3, noNaN: true }),
    fc.integer({ min: 1, max: 6 }),
    (d, power, words) => {
      const variances = Array.from({ length: d }, (_, i) => (i + 1) ** -power);
      const grades = gradesOf(variances, words);
      const bits = grades.flatMap((size, i) => Array<1 | 2 | 3 | 4>(size).fill(GRADES[i]));
      const left = variances.reduce((sum, v, i) => sum + v * lloydMaxError(bits[i] ?? 0), 0);
      ok(grades.every((size, i) => size * GRADES[i] % 32 === 0), `${grades} fill no words`);
      return bits.length <= d && bits.reduce<number>((n, b) => n + b, 0) <= 32 * words &&
        waysOf(variances).every((way) => way.words > words || way.left >= left * (1 - 1e-12));
    },
  ),
  20,
);
