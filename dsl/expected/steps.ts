/**
 * The variance of one rounding: step²/12, but for numbers that are what they are by construction.
 * @module
 */
import { cast, map } from "../core/build.ts";
import { FLOATS, type StoredFloat } from "../core/dtype.ts";
import type { Term } from "../core/term.ts";

/** Variance of a rounding to whole numbers. */
export const UNIFORM: number = 1 / 12;

/** Numbers this close are equal but for f32 arithmetic: 16 units of roundoff. */
const SAME = 2 ** -20;

const abs = (t: Term): Term => map("abs", t);
const square = (t: Term): Term => map("mul", t, t);

/** 1 where x is y, as far as arithmetic tells, else 0. */
export const nearly = (x: Term, y: Term): Term =>
  map("sub", 1, map("less", map("mul", abs(y), SAME), abs(map("sub", x, y))));

/**
 * Variance of the rounding of x to whole numbers. What was whole before its scale was stored (`plain`)
 * is whole by construction, an end of a group or a zero: it is off by what storing the scale moved it.
 */
export const wholes = (x: Term, plain: Term): Term => {
  const near = map("mul", map("max", abs(plain), 1), SAME);
  const whole = map("less", abs(map("sub", plain, map("rint", plain))), near);
  return map("select", whole, map("min", square(map("sub", x, plain)), UNIFORM), UNIFORM);
};

/** Variance of a float at stored values: what is a little over half a step away rounds to the next one. */
export const floats = (stored: Term, dtype: StoredFloat): Term => {
  const { fraction, least } = FLOATS[dtype];
  const size = abs(stored);
  const half = 2 ** -(fraction + 1);
  const next = cast(map("mul", size, 1 + half + half * half), dtype);
  // Below the normal range, where half a step is more than that, the step is the smallest.
  return map("mul", square(map("max", map("sub", next, size), 2 ** (least - fraction))), UNIFORM);
};
