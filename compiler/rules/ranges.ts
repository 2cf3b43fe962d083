/**
 * Numbers that a term lies between, whatever the inputs, from the constants it is held by.
 *
 * Before: `min(max(s, 2^-126), 2^126)`; after: 2^-126 … 2^126.
 * @module
 */
import { HELD } from "../../dsl/core/held.ts";
import type { Term } from "../../dsl/core/term.ts";

/** Smallest and largest value. */
export type Range = readonly [lo: number, hi: number];

/** The range of a term; NaN lies in none. */
export const rangeOf = (t: Term): Range => {
  if (t.tag === "constant") return [t.value, t.value];
  if (t.tag === "map" && (t.op === "min" || t.op === "max")) {
    const pick = Math[t.op];
    const [a, b] = t.args.map(rangeOf);
    return [pick(a[0], b[0]), pick(a[1], b[1])];
  }
  return [-Infinity, Infinity];
};

/** Are the term and its inverse normal numbers above 0, whatever the inputs? */
export const normalBetween = (t: Term): boolean => {
  const [lo, hi] = rangeOf(t);
  return lo >= HELD[0] && hi <= HELD[1];
};

/** Is it the inverse of a number that is held so: what keeps the squares of what it scales in range? */
export const keepsRange = (t: Term): boolean =>
  t.tag === "map" && t.op === "div" && t.args[0].tag === "constant" && normalBetween(t.args[1]);
