/**
 * A number's place between the entries of a table, rounded (`placeIn` of `dsl/core/gaps.ts` under a cast), as
 * what it is: how many midpoints of neighbours lie below the number.
 *
 * ```text
 * before: rint(Σᵢ clamp((x − entryᵢ) / gapᵢ, 0, 1))     5 operations a gap
 * after:  a search in ⌈log₂⌉ comparisons (`search.ts`)
 * ```
 * A place is off where x is within its rounding of a midpoint; a count only where x itself is on the other
 * side. What is exactly between two entries goes to the even one, as rounding has it. The last entry is known
 * as far as 1 over the last gap is: its midpoint alone is off, by 2^-25 of that gap.
 * @module
 */
import { argsOf, type Term } from "../../dsl/core/term.ts";
import { above, type Expr, lanesOf } from "../ir/expr.ts";
import { countByChoice } from "./search.ts";

/** A number and the cuts it is compared with, ascending: the place is how many it is above. */
export interface Places {
  readonly x: Term;
  readonly cuts: readonly number[];
}

const valueOf = (t: Term | undefined): number | undefined =>
  t?.tag === "constant" ? t.value : undefined;

/** One gap of a place: clamp((x − entry) · each, 0, 1). */
interface Gap {
  readonly x: Term;
  readonly entry: number;
  readonly each: number;
}

/** What a term may be read as: `x − 0` and `x · 1` are written `x`. */
const gapsIn = (t: Term): Gap[] => {
  if (t.tag !== "map" || t.op !== "min" || valueOf(t.args[1]) !== 1) return [];
  const [above] = t.args;
  if (above.tag !== "map" || above.op !== "max" || valueOf(above.args[1]) !== 0) return [];
  const [scaled] = above.args;
  const by = scaled.tag === "map" && scaled.op === "mul" ? valueOf(scaled.args[1]) : undefined;
  const offsets = (off: Term, each: number): Gap[] => {
    const entry = off.tag === "map" && off.op === "sub" ? valueOf(off.args[1]) : undefined;
    const whole = { x: off, entry: 0, each };
    return entry === undefined ? [whole] : [{ x: argsOf(off)[0], entry, each }, whole];
  };
  return [
    ...by !== undefined && by > 0 ? offsets(argsOf(scaled)[0], by) : [],
    ...offsets(scaled, 1),
  ];
};

const addends = (t: Term): Term[] => {
  const out: Term[] = [];
  let rest = t;
  while (rest.tag === "map" && rest.op === "add") {
    out.unshift(rest.args[1]);
    rest = rest.args[0];
  }
  return [rest, ...out];
};

const view = new DataView(new ArrayBuffer(4));

/** The next f32 below; below 0 the smallest that no device takes for 0. */
const below = (x: number): number => {
  if (x === 0) return -(2 ** -126);
  view.setFloat32(0, x);
  view.setInt32(0, view.getInt32(0) + (x > 0 ? -1 : 1));
  return view.getFloat32(0);
};

/** Above which f32 a number's place between two entries is rounded up: a tie goes to the even entry. */
const cutOf = (left: number, right: number, even: boolean): number => {
  const middle = left / 2 + right / 2;
  const taken = middle - left / 2;
  const lost = left / 2 - (middle - taken) + (right / 2 - taken);
  const near = Math.fround(middle);
  const over = near - middle || -lost;
  return over < 0 || (over === 0 && even) ? near : below(near);
};

/** Where a gap ends, as far as its constant is rounded: where the next one begins is known better. */
const endOf = ({ entry, each }: Gap): number => entry + 1 / each;

/** Gaps follow each other, as far as their constants are rounded: at most one is not about full or empty. */
const follows = (last: Gap, gap: Gap): boolean =>
  Math.abs(gap.entry - endOf(last)) < Math.max(0.25 / gap.each, 2 ** -20 / last.each);

/** The rounded place that a term is, or nothing. */
export const placesOf = (t: Term): Places | undefined => {
  const read = addends(t).map(gapsIn);
  const of = (x: Term): Places | undefined => {
    const gaps: Gap[] = [];
    for (const readings of read) {
      const gap = readings.find((g) => g.x === x);
      if (gap === undefined) return undefined;
      const last = gaps[gaps.length - 1];
      if (last && !follows(last, gap)) return undefined;
      gaps.push(gap);
    }
    const cuts = gaps.map((gap, i) =>
      cutOf(gap.entry, gaps[i + 1]?.entry ?? endOf(gap), i % 2 === 0)
    );
    return { x, cuts };
  };
  for (const { x } of read[0]) {
    const places = of(x);
    if (places !== undefined) return places;
  }
  return undefined;
};

/** How many cuts a number (or each of four) is above; four wait for what a target has (`search.ts`). */
export const countAbove = (x: Expr, cuts: readonly number[]): Expr =>
  lanesOf(x.type) ? above(x, cuts) : countByChoice(x, cuts);
