/**
 * Terms that hold whole numbers, whatever the inputs: codes, indices, and what is made of them.
 * @module
 */
import { DTYPES, isFixedPoint } from "../core/dtype.ts";
import { rootOf } from "../core/dims.ts";
import { summedDims } from "../core/shape.ts";
import { argsOf, type Shape, type Term } from "../core/term.ts";

/** Smallest and largest value of a term whose values are whole numbers. */
export interface Whole {
  readonly lo: number;
  readonly hi: number;
}

const of = (...ends: readonly number[]): Whole => ({
  lo: Math.min(...ends),
  hi: Math.max(...ends),
});

const WHOLE_MAPS: Readonly<Record<string, (a: Whole, b: Whole) => Whole>> = {
  add: (a, b) => of(a.lo + b.lo, a.hi + b.hi),
  sub: (a, b) => of(a.lo - b.hi, a.hi - b.lo),
  mul: (a, b) => of(a.lo * b.lo, a.lo * b.hi, a.hi * b.lo, a.hi * b.hi),
  min: (a, b) => of(Math.min(a.lo, b.lo), Math.min(a.hi, b.hi)),
  max: (a, b) => of(Math.max(a.lo, b.lo), Math.max(a.hi, b.hi)),
  neg: (a) => of(-a.lo, -a.hi),
  abs: (a) => of(0, -a.lo, a.hi),
  rint: () => of(-Infinity, Infinity),
  less: () => of(0, 1),
};

/** Those whose result is whole whatever they are given. */
const ALWAYS: readonly string[] = ["rint", "less"];

/** The range of either of some. */
const either = (ranges: readonly (Whole | undefined)[]): Whole | undefined =>
  ranges.every((r) => r !== undefined)
    ? of(...ranges.flatMap(({ lo, hi }) => [lo, hi]))
    : undefined;

/** The range of a sum over some dims: counts of a named one stay below the most. */
const summed = (range: Whole, dims: Shape): Whole | undefined => {
  const names = dims.filter((d) => typeof d === "string").length;
  if (names > 1) return undefined;
  const count = dims.reduce<number>((n, d) => n * (typeof d === "number" ? d : MOST), 1);
  return of(Math.min(0, range.lo * count), Math.max(0, range.hi * count));
};

/** Sizes of named dims stay below this, so that sums of two of them are exact in f32. */
const MOST = 2 ** 23;

/** What was found: terms that many others share are looked at once. */
const known = new WeakMap<Term, { readonly whole: Whole | undefined }>();

/** The range of a term that holds whole numbers, whatever the inputs. */
export const wholeOf = (t: Term): Whole | undefined => {
  const found = known.get(t);
  if (found !== undefined) return found.whole;
  const whole = rangeOf(t);
  known.set(t, { whole });
  return whole;
};

const rangeOf = (t: Term): Whole | undefined => {
  if (t.tag === "constant") return Number.isInteger(t.value) ? of(t.value) : undefined;
  if (t.tag === "iota") {
    const [size, start] = [t.shape[t.axis], t.start].map((d) => typeof d === "number" ? d : MOST);
    return of(0, start + size - 1);
  }
  if (t.tag === "fold" && (t.monoid === "sum" || t.project === "max")) {
    const range = wholeOf(t.args[0]);
    const dims = summedDims(t.labels, t.args);
    if (range === undefined || t.monoid === "sum") return range && summed(range, dims);
    // The largest of nothing is no number: a run of a name may be empty.
    return dims.every((d) => typeof d === "number" || rootOf(d) === d) ? range : undefined;
  }
  if (t.tag === "map") {
    if (t.op === "select") return either(t.args.slice(1).map(wholeOf));
    const range = WHOLE_MAPS[t.op];
    const args = ALWAYS.includes(t.op) ? [of(0)] : t.args.map(wholeOf);
    if (range === undefined || args.some((a) => a === undefined)) return undefined;
    return range(args[0]!, args[1]!);
  }
  if (t.tag === "concat") return either(t.args.map(wholeOf));
  if (["broadcast", "reshape", "permute", "slice", "gather"].includes(t.tag)) {
    return wholeOf(argsOf(t)[0]);
  }
  const { integer, min, max } = DTYPES[t.dtype];
  return integer && !isFixedPoint(t.dtype) ? of(min, max) : undefined;
};

/** Are the results whole numbers that f32 holds? */
export const isExact = (t: Term): boolean => {
  const range = wholeOf(t);
  return range !== undefined && -range.lo <= 2 ** 24 && range.hi <= 2 ** 24;
};

/** Is every value a whole number, whatever the inputs? */
export const isWhole = (t: Term): boolean => wholeOf(t) !== undefined;

/**
 * Is it a choice among whole numbers, by comparisons: a place, the nearest of some points? Whole numbers that
 * were rounded on the way are none.
 */
export const isChoice = (t: Term): boolean => {
  const seen = new Set<Term>();
  const rounds = (x: Term): boolean => {
    if (seen.has(x) || !isWhole(x)) return false;
    seen.add(x);
    const here = (x.tag === "map" && x.op === "rint") ||
      (x.tag === "cast" && !isWhole(x.args[0]));
    return here || argsOf(x).some(rounds);
  };
  return isWhole(t) && !rounds(t);
};
