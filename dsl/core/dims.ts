/**
 * Sizes that follow from the size of a named axis: runs of its entries between two places, and whole
 * groups of such a run. They are names too, so that they are equal where they are written the same.
 *
 * ```text
 * places of "tokens":   4            the fourth, or the end if there are fewer
 *                       4-32/8       from there as many groups of 8 as leave at least 32
 *                       0.25x        a quarter of them, rounded up; 0.25x+8: of all but 8, and those
 * dims:                 "tokens[:4]"   "tokens[4:4-32/8]"   "tokens[4-32/8:]"   "tokens[4:4-32/8]/8"   "tokens[:0.25x]"
 * ```
 * For 60 tokens these are 4, 24, 32, 3 and 15; for 2 tokens 2, 0, 0, 0 and 1.
 * @module
 */
import { ShapeError, ValueError } from "./errors.ts";
import type { Dim } from "./term.ts";

/** Sizes of the named dims of one run. */
export type Sizes = Readonly<Record<string, number>>;

/** A place on an axis: a share of it, or entry `start`, and from there whole groups that leave a tail. */
export type Place = Counted | Portion;

/** A share of an axis but for some entries, rounded up, and those entries. */
export interface Portion {
  /** Between 0 and 1. */
  readonly share: number;
  /** Entries that are all counted; none unless given. */
  readonly and?: number;
}

/** A place by counts. */
export interface Counted {
  /** Where it starts. */
  readonly start: number;
  /** Entries left behind the groups, at least; none if the place is `start` itself. */
  readonly tail?: number;
  /** Entries of a group. */
  readonly group?: number;
}

/** What a dim says of the name it follows from; no `to` is the end. */
interface Run {
  readonly of: string;
  readonly from: string;
  readonly to: string | undefined;
}

const PLACE = /^(\d+)(?:-(\d+)\/(\d+))?$/;
const SHARE = /^(\d+(?:\.\d+)?(?:e-\d+)?)x(?:\+(\d+))?$/;
const ANY = `\\d+(?:-\\d+/\\d+)?|\\d+(?:\\.\\d+)?(?:e-\\d+)?x(?:\\+\\d+)?`;
const RUN = new RegExp(`^(.+)\\[((?:${ANY})?):((?:${ANY})?)\\]$`);
const GROUPS = /^(.+\])\/(\d+)$/;

const runs = new Map<string, Run | undefined>();

/** The run that a dim is, if it is one. */
const runOf = (dim: string): Run | undefined => {
  if (!runs.has(dim)) {
    const found = RUN.exec(dim);
    runs.set(
      dim,
      found === null
        ? undefined
        : { of: found[1], from: found[2] || "0", to: found[3] || undefined },
    );
  }
  return runs.get(dim);
};

/** A dim as whole groups of another, if it is that. */
export const groupsOf = (
  dim: string,
): { readonly of: string; readonly group: number } | undefined => {
  const found = GROUPS.exec(dim);
  return found === null ? undefined : { of: found[1], group: Number(found[2]) };
};

const textOf = (place: Place): string => {
  if ("share" in place) return `${place.share}x${place.and ? `+${place.and}` : ""}`;
  const { start, tail, group } = place;
  return group === undefined ? `${start}` : `${start}-${tail ?? 0}/${group}`;
};

/** The share that a place is, if it is one. */
const portionOf = (text: string): Required<Portion> | undefined => {
  const found = SHARE.exec(text);
  return found === null ? undefined : { share: Number(found[1]), and: Number(found[2] ?? 0) };
};

/** A share as written is off by an ulp: what is that close to a whole number is that number. */
const CLOSE = 1 - 2 ** -50;

const placeIn = (text: string, size: number): number => {
  const portion = portionOf(text);
  if (portion !== undefined) {
    const whole = Math.min(portion.and, size);
    return whole + Math.ceil(portion.share * (size - whole) * CLOSE);
  }
  const [, start, tail, group] = PLACE.exec(text)!;
  const from = Math.min(Number(start), size);
  if (group === undefined) return from;
  return from + Math.floor(Math.max(0, size - Number(tail) - from) / Number(group)) * Number(group);
};

const written = (of: string, from: string, to: string | undefined): string =>
  from === "0" && to === undefined ? of : `${of}[${from === "0" ? "" : from}:${to ?? ""}]`;

const checked = (place: Place): string => {
  if ("share" in place) {
    const { share, and = 0 } = place;
    if (share > 0 && share < 1 && Number.isInteger(and) && and >= 0) return textOf(place);
    throw new ValueError("place", `${textOf(place)} is not a share between 0 and 1 and a count`);
  }
  const { start, tail = 0, group = 1 } = place;
  const counts = [start, tail].every((n) => Number.isInteger(n) && n >= 0);
  if (counts && Number.isInteger(group) && group > 0) return textOf(place);
  throw new ValueError("place", `${textOf(place)} is not made of counts`);
};

/** The size of the run between two places; without the second one it goes to the end. */
export const rangeDim = (dim: Dim, from: Place, to?: Place): Dim => {
  const [a, b] = [checked(from), to && checked(to)];
  if (a === b) return 0;
  if (typeof dim === "string") return written(dim, a, b);
  return (b === undefined ? dim : placeIn(b, dim)) - placeIn(a, dim);
};

/** The size behind a name, if it is known. */
const known = (dim: string, sizes: Sizes): number | undefined => {
  if (sizes[dim] !== undefined) return sizes[dim];
  const groups = groupsOf(dim);
  if (groups !== undefined) {
    const whole = known(groups.of, sizes);
    return whole && whole / groups.group;
  }
  const run = runOf(dim);
  const size = run && known(run.of, sizes);
  if (size === undefined) return undefined;
  return (run!.to === undefined ? size : placeIn(run!.to, size)) - placeIn(run!.from, size);
};

/** The number behind a dim. */
export const sizeOf = (dim: Dim, sizes: Sizes): number => {
  if (typeof dim === "number") return dim;
  const size = known(dim, sizes);
  if (size === undefined) throw new ShapeError("size", `dim ${dim} is not bound`);
  return size;
};

/** The name that a dim follows from: itself, unless it is written as a part of one. */
export const rootOf = (dim: string): string => {
  const of = groupsOf(dim)?.of ?? runOf(dim)?.of;
  return of === undefined ? dim : rootOf(of);
};

/** How fast a place moves as the axis grows. */
const paceOf = (place: string | undefined): number =>
  place === undefined ? 1 : portionOf(place)?.share ?? (place.includes("-") ? 1 : 0);

/** Entries of a dim for each further one of the name that it follows from. */
const rateOf = (dim: string): number => {
  const groups = groupsOf(dim);
  if (groups !== undefined) return rateOf(groups.of) / groups.group;
  const run = runOf(dim);
  return run === undefined ? 1 : (paceOf(run.to) - paceOf(run.from)) * rateOf(run.of);
};

/** Does a dim grow with the name that it follows from? A run between two fixed places, or up to the end, does not. */
export const grows = (dim: string): boolean => rateOf(dim) > 0;

/** How many times as slowly as its name a dim grows, if it grows. */
export const everyOf = (dim: string): number => grows(dim) ? 1 / rateOf(dim) : 1;

/** Whole groups of a dim, where it is known to hold nothing else. */
export const groupedDim = (dim: Dim, group: number): Dim | undefined => {
  if (typeof dim === "number") return dim % group === 0 ? dim / group : undefined;
  if (group === 1) return dim;
  const run = runOf(dim);
  const to = run?.to ? PLACE.exec(run.to) : undefined;
  const whole = to && to[1] === run!.from && Number(to[3] ?? NaN) % group === 0;
  return whole ? `${dim}/${group}` : undefined;
};

/** The size of parts that lie side by side, if that can be said. */
export const joinedDim = (dims: readonly Dim[]): Dim | undefined => {
  if (dims.every((d): d is number => typeof d === "number")) return dims.reduce((a, b) => a + b);
  const all = dims.map((d) => typeof d === "string" ? runOf(d) : undefined);
  const [first] = all;
  const adjoin = all.every((r, i) =>
    r !== undefined && r.of === first!.of && (i === 0 || all[i - 1]!.to === r.from)
  );
  return adjoin ? written(first!.of, first!.from, all[all.length - 1]!.to) : undefined;
};

/** The size of what a run leaves of an axis behind it, 0 for nothing; undefined where that cannot be said. */
export const restDim = (whole: Dim, start: Dim, size: Dim): Dim | undefined => {
  if ([whole, start, size].every((d) => typeof d === "number")) {
    return (whole as number) - (start as number) - (size as number);
  }
  const run = typeof size === "string" ? runOf(size) : undefined;
  if (whole === size) return 0;
  if (run?.of !== whole) return undefined;
  return run.to === undefined ? 0 : written(run.of, run.to, undefined);
};

/** How far from the beginning of their joined axis each of some parts lies. */
export const startsOf = (dims: readonly Dim[]): Dim[] =>
  dims.map((_, i) => i === 0 ? 0 : joinedDim(dims.slice(0, i))!);

/** The size of a name, from sizes of runs that cover it from the beginning to the end. */
export const coveredSize = (
  name: string,
  sizes: ReadonlyMap<string, number>,
): number | undefined => {
  const parts = [...sizes].flatMap(([dim, size]) => {
    const run = runOf(dim);
    return run?.of === name ? [{ ...run, size }] : [];
  });
  let total = 0;
  for (let at: string | undefined = "0"; at !== undefined;) {
    const next: (typeof parts)[number] | undefined = parts.find((p) => p.from === at);
    if (next === undefined) return undefined;
    total += next.size;
    at = next.to;
  }
  return total;
};
