/**
 * Digits of whole numbers, and how to know them again: places of tokens are looked up a digit at a time.
 * @module
 */
import { map } from "./build.ts";
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
