/**
 * A table between its entries: what a look-up by an index that is off may give.
 *
 * ```text
 * entries  −1.5  −0.45  0.45  1.5        gaps  1.05  0.9  1.05
 * at 2.5: half of the way from 0.45 to 1.5
 * ```
 * Between neighbours a table is a straight line. So an index that is off by e ≤ 1 is off by at most e
 * times the larger gap beside the entry, tails included: beyond its ends a table stays what it is there.
 * @module
 */
import { constant, map } from "./build.ts";
import type { Term } from "./term.ts";

/** Values of a table, also where a device holds them as integers. */
export const tableOf = (t: Term): readonly number[] | undefined =>
  t.tag === "table"
    ? t.values
    : t.tag === "cast" && t.dtype === "i16" && t.args[0].tag === "table"
    ? t.args[0].values
    : undefined;

/** The largest magnitude of a table as a device holds it: integers are rounded. */
export const heldPeak = (t: Term): number | undefined => {
  const values = tableOf(t);
  return values && (t.tag === "table" ? peakOf(values) : Math.ceil(peakOf(values)));
};

/** The largest magnitude of a table's values. */
export const peakOf = (values: readonly number[]): number =>
  values.reduce((top, x) => Math.max(top, Math.abs(x)), 0);

/** Distances of neighbours. */
export const gapsOf = (values: readonly number[]): number[] =>
  values.slice(1).map((x, i) => x - values[i]);

/** The largest distance of neighbours. */
export const widestGap = (values: readonly number[]): number =>
  gapsOf(values).reduce((top, g) => Math.max(top, Math.abs(g)), 0);

/** For each entry, what both gaps beside it give; the one gap of an end counts twice. */
export const besides = (
  values: readonly number[],
  join: (left: number, right: number) => number,
): number[] => {
  const gaps = gapsOf(values).map(Math.abs);
  if (gaps.length === 0) return [0];
  return values.map((_, i) => join(gaps[Math.max(i - 1, 0)], gaps[Math.min(i, gaps.length - 1)]));
};

/**
 * For each entry, by how much the table moves with an index that is evenly off within half a gap to either
 * side, as a root of mean squares: √(l² − l·r + r²).
 */
export const slopesOf = (values: readonly number[]): number[] =>
  besides(values, (l, r) => Math.sqrt(l * l - l * r + r * r));

const within = (x: Term): Term => map("min", map("max", x, 0), 1);

const total = (first: Term, rest: readonly Term[]): Term =>
  rest.reduce((a, b) => map("add", a, b), first);

/** The table at an index that is no whole number: Σ entry · (1 − |index − i|), exact at whole ones. */
export const between = (values: readonly number[], index: Term): Term => {
  const at = map("min", map("max", index, 0), values.length - 1);
  const share = (i: number): Term => map("max", map("sub", 1, map("abs", map("sub", at, i))), 0);
  const [first, ...rest] = values.map((x, i) => map("mul", share(i), x));
  return total(first, rest);
};

/**
 * Where a number lies in an ascending table: the index at which {@link between} gives it. Rounded, it is
 * the index of the nearest entry: half an index is half a gap.
 */
export const placeIn = (values: readonly number[], x: Term): Term => {
  const parts = gapsOf(values).map((gap, i) =>
    within(map("mul", map("sub", x, values[i]), 1 / gap))
  );
  return parts.length === 0 ? constant(0, x.shape) : total(parts[0], parts.slice(1));
};
