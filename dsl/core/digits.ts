/**
 * Digits of whole numbers, and how to know them again: places of tokens are looked up a digit at a time.
 * @module
 */
import { cast, gather, map, table } from "./build.ts";
import type { Term } from "./term.ts";

/**
 * The whole part of whole numbers over n, ⌊x / n⌋. Nothing is rounded: a half is never between.
 *
 * Before: x = 0, 1, …, 511, 512; after: rint(x / 512 − 511 / 1024) = 0, 0, …, 0, 1.
 */
export const over = (x: Term, n: number): Term =>
  n === 1 ? x : map("rint", map("sub", map("div", x, n), (n - 1) / (2 * n)));

/** The last digit of whole numbers to the base n, x − n·⌊x / n⌋. */
export const digit = (x: Term, n: number): Term => map("sub", x, map("mul", over(x, n), n));

/**
 * How far numbers from 0 to n − 1 are from their middle, n even: those of a pair that lie as far from it to either
 * side look up one row.
 *
 * Before: x = 0, 1, …, 7; after: max(x − 4, 3 − x) = 3, 2, 1, 0, 0, 1, 2, 3.
 */
export const fromMiddle = (x: Term, n: number): Term =>
  map("max", map("sub", x, n / 2), map("sub", n / 2 - 1, x));

/** On which side of the middle of n the last digits of whole numbers lie: −1 before it, 1 behind it. */
export const sideOf = (x: Term, n: number): Term =>
  gather(table([-1, 1]), cast(map("sub", over(x, n / 2), map("mul", over(x, n), 2)), "u32"));

const valueOf = (t: Term): number | undefined => t.tag === "constant" ? t.value : undefined;

/** What a term is the whole part of, and over what; nothing if it is none. */
export const overOf = (t: Term): { readonly of: Term; readonly by: number } | undefined => {
  if (t.tag !== "map" || t.op !== "rint") return undefined;
  const [less] = t.args;
  if (less.tag !== "map" || less.op !== "sub") return undefined;
  const [share, rest] = less.args;
  if (share.tag !== "map" || share.op !== "div") return undefined;
  const by = valueOf(share.args[1]);
  return by !== undefined && Number.isInteger(by) && by > 1 &&
      valueOf(rest) === Math.fround((by - 1) / (2 * by))
    ? { of: share.args[0], by }
    : undefined;
};

/** What a term is the last digit of, and to what base; nothing if it is none. */
export const digitOf = (t: Term): { readonly of: Term; readonly by: number } | undefined => {
  if (t.tag !== "map" || t.op !== "sub") return undefined;
  const [x, rest] = t.args;
  if (rest.tag !== "map" || rest.op !== "mul") return undefined;
  const whole = overOf(rest.args[0]);
  return whole !== undefined && whole.of === x && valueOf(rest.args[1]) === whole.by
    ? whole
    : undefined;
};

/** Of which numbers a term is the distance from their middle, and how many they are; nothing if it is none. */
export const fromMiddleOf = (t: Term): { readonly of: Term; readonly by: number } | undefined => {
  if (t.tag !== "map" || t.op !== "max") return undefined;
  const [behind, before] = t.args;
  if (behind.tag !== "map" || behind.op !== "sub") return undefined;
  if (before.tag !== "map" || before.op !== "sub") return undefined;
  const half = valueOf(behind.args[1]);
  return half !== undefined && Number.isInteger(half) && half > 0 &&
      valueOf(before.args[0]) === half - 1 && before.args[1] === behind.args[0]
    ? { of: behind.args[0], by: 2 * half }
    : undefined;
};

/** Look-ups of a run of rows: which row of the run, where the run begins, and how many rows it has. */
export interface RunOfRows {
  readonly row: Term;
  readonly start: number;
  readonly count: number;
}

/** The run of rows that numbers of known range choose from; nothing where that is not known. */
export const rowsIn = (t: Term): RunOfRows | undefined => {
  if (t.tag === "cast") return rowsIn(t.args[0]);
  const middle = fromMiddleOf(t);
  if (middle !== undefined) return { row: t, start: 0, count: middle.by / 2 };
  const last = digitOf(t);
  if (last !== undefined) return { row: t, start: 0, count: last.by };
  if (t.tag !== "map" || t.op !== "add") return undefined;
  const [by, inside] = [valueOf(t.args[1]), rowsIn(t.args[0])];
  return by === undefined || inside === undefined
    ? undefined
    : { ...inside, start: inside.start + by };
};
