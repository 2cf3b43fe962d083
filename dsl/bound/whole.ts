/**
 * Terms that hold whole numbers, whatever the inputs: codes, indices, and what is made of them.
 * @module
 */
import { DTYPES, isFixedPoint } from "../core/dtype.ts";
import { argsOf, type Term } from "../core/term.ts";

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
  if (t.tag === "fold" && t.monoid === "sum" && t.args[0].tag === "constant") {
    return t.args[0].value === 1 ? of(0, MOST) : undefined;
  }
  if (t.tag === "map") {
    const range = WHOLE_MAPS[t.op];
    const args = t.op === "rint" ? [of(0)] : t.args.map(wholeOf);
    if (range === undefined || args.some((a) => a === undefined)) return undefined;
    return range(args[0]!, args[1]!);
  }
  if (["broadcast", "reshape", "permute", "slice"].includes(t.tag)) return wholeOf(argsOf(t)[0]);
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
