/**
 * Runs of channels that registers hold while tokens are walked.
 * @module
 */
import { type Arr, bin, type Expr, int, lanesOf, load, madd } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import type { Frame, Sum } from "./shape.ts";

/** Sums that registers hold: half of them, the rest is for what is added. */
export const ACCUMULATORS = 8;

/** Largest run of the choices that divides the channels and fits registers, or the smallest that divides. */
export const runOf = (
  choices: readonly number[],
  channels: number,
  rows: number,
  perVector = 4,
): number => {
  const fits = choices.filter((n) => channels % n === 0);
  return fits.find((n) => rows * n / perVector <= ACCUMULATORS) ?? fits[fits.length - 1];
};

/** Most channels, one an accumulator, that divide the channels and fit registers (or `most`). */
export const longestRun = (channels: number, rows: number, most = ACCUMULATORS): number => {
  let run = Math.max(1, Math.min(channels, Math.floor(most / rows)));
  while (channels % run !== 0) run--;
  return run;
};

/** What a part holds after a sum of a chunk: the sum, on top of what earlier chunks left. */
export const settled = (
  frame: Frame,
  part: Arr,
  at: Expr,
  row: Expr,
  sum: Expr,
): Expr => madd(load(part, at, lanesOf(sum.type)), frame.fade(row), sum);

/** Stores the finished sums of a run of some rows. */
export const storeRun = (
  b: Builder,
  frame: Frame,
  sum: Sum,
  part: Arr,
  channel: Expr,
  sums: readonly (readonly Expr[])[],
  rows: readonly number[],
): void =>
  sums.forEach((row, i) =>
    row.forEach((four, q) => {
      const at = bin("add", bin("add", frame.base(int(rows[i])), channel), int(sum.at + 4 * q));
      b.low.store(part, at, settled(frame, part, at, int(rows[i]), four));
    })
  );
