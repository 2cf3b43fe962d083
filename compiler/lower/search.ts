/**
 * How many of some ascending cuts a number is above: is it above the middle one? then above the middle one of
 * that half? … The cut of a comparison is chosen by the answers before it.
 *
 * ```text
 * 16 places by choices:  4 comparisons, 1 + 3 + 7 cuts chosen lane by lane
 * with vectors of bytes: 4 comparisons; four cuts lie in a vector, two answers are a place in it:
 *                        1 choice, 1 look-up, 2 look-ups and a choice
 * ```
 * @module
 */
import { bin, type Expr, lanesOf, num, select, swizzle, un, vec4, word } from "../ir/expr.ts";

/** No number is above. */
const BEYOND = 3.4028234663852886e38;
/** The same byte four times. */
const FOURFOLD = 0x01010101;
/** Answers that are a place among the four numbers of a vector. */
const LOOKED_UP = 2;

const levelsOf = (cuts: readonly number[]): number => Math.ceil(Math.log2(cuts.length + 1));

/** A number (or each of four) against a cut after the other. */
const answersBy = (
  x: Expr,
  cuts: readonly number[],
  cutAfter: (answers: readonly Expr[], cutAt: (place: number) => number) => Expr,
): Expr[] => {
  const levels = levelsOf(cuts);
  const answers: Expr[] = [];
  for (let level = 0; level < levels; level++) {
    // Place p of 2^level: what is left begins there, and its middle is compared.
    const width = 2 ** (levels - level);
    const cut = cutAfter(answers, (p) => cuts[p * width + width / 2 - 1] ?? BEYOND);
    answers.push(bin("lt", cut, x));
  }
  return answers;
};

/** Of 2^n values the one at the place that n answers are, the first of them its highest bit. */
const chosen = (answers: readonly Expr[], valueAt: (place: number) => Expr, from = 0): Expr => {
  const [first, ...rest] = answers;
  if (first === undefined) return valueAt(from);
  return select(
    first,
    chosen(rest, valueAt, from + 2 ** rest.length),
    chosen(rest, valueAt, from),
  );
};

/** For any target. */
export const countByChoice = (x: Expr, cuts: readonly number[]): Expr => {
  const spread = (value: number): Expr => lanesOf(x.type) ? un("splat", num(value)) : num(value);
  const answers = answersBy(x, cuts, (known, cutAt) => chosen(known, (p) => spread(cutAt(p))));
  return answers
    .map((yes, level) => select(yes, spread(2 ** (answers.length - 1 - level)), spread(0)))
    .reduce((a, b) => bin("add", a, b));
};

/** For a target with vectors of bytes, four numbers. */
export const countByBytes = (x: Expr, cuts: readonly number[]): Expr => {
  const levels = levelsOf(cuts);
  const spread = (value: number): Expr => un("splat", word(value));
  const either = (answer: Expr, value: number): Expr => select(answer, spread(value), spread(0));
  // Two answers as the bytes of one of four numbers: 4·place + 0 … 3.
  const bytesOf = ([a, b]: readonly Expr[]): Expr =>
    bin("or", bin("or", either(a, 8 * FOURFOLD), either(b, 4 * FOURFOLD)), spread(0x03020100));
  const answers = answersBy(x, cuts, (known, cutAt) => {
    if (known.length < LOOKED_UP) return chosen(known, (p) => un("splat", num(cutAt(p))));
    const [first, rest] = [known.slice(0, LOOKED_UP), known.slice(LOOKED_UP)];
    const places = bytesOf(first);
    return un(
      "asF32",
      chosen(rest, (p) => {
        const four = [0, 1, 2, 3].map((q) => cutAt(q * 2 ** rest.length + p));
        return swizzle(
          vec4([...new Uint32Array(Float32Array.from(four).buffer)].map(word)),
          places,
        );
      }),
    );
  });
  // Of four answers the first two have their place in the count as they have it among bytes.
  const times = levels === 4 ? FOURFOLD : 1;
  const count = answers
    .map((yes, level) => either(yes, 2 ** (levels - 1 - level) * times))
    .reduce((a, b) => bin("or", a, b));
  return un("toF32", times === 1 ? count : bin("and", count, spread(0xff)));
};
