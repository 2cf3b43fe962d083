/**
 * Values as Σ scale · rest + Σ shift, where scales and shifts are the same along the last channel
 * axis: what a token's weight multiplies once a group instead of once a channel.
 *
 * Before: `mul(sub(codes, 8), broadcast(s))`; after: scale `s` on `codes`, and the shift `−8·s`.
 * @module
 */
import type { Term } from "../../dsl/core/term.ts";

/** A product of terms that do not change along the channel axis, and a number. */
export interface Factor {
  readonly terms: readonly Term[];
  readonly by: number;
}

/** Parts that change along the channels, each with its factor, and parts that do not. */
export interface LinearTerms {
  readonly scaled: readonly { readonly factor: Factor; readonly rest: Term }[];
  readonly shifts: readonly Factor[];
}

const ONE: Factor = { terms: [], by: 1 };

const times = (f: LinearTerms, { terms, by }: Factor): LinearTerms => {
  const scale = (x: Factor): Factor => ({ terms: [...x.terms, ...terms], by: x.by * by });
  return {
    scaled: f.scaled.map(({ factor, rest }) => ({ factor: scale(factor), rest })),
    shifts: f.shifts.map(scale),
  };
};

const plus = (a: LinearTerms, b: LinearTerms): LinearTerms => ({
  scaled: [...a.scaled, ...b.scaled],
  shifts: [...a.shifts, ...b.shifts],
});

/** Is the term in memory? Then it is read as it is: what it was made of is not there. */
type Stored = (term: Term) => boolean;

/** What is the same for every index of `axis`, as a factor. */
const steady = (term: Term, axis: number, stored: Stored): Factor | undefined => {
  if (term.tag === "constant") return { terms: [], by: term.value };
  if (term.tag === "broadcast" && !term.axes.includes(axis)) return { terms: [term], by: 1 };
  if (term.tag === "map" && term.op === "mul" && !stored(term)) {
    const [a, b] = term.args.map((t) => steady(t, axis, stored));
    if (a !== undefined && b !== undefined) {
      return { terms: [...a.terms, ...b.terms], by: a.by * b.by };
    }
  }
  return undefined;
};

/** Splits values along their channel axis, down to what is stored. */
export const linearTerms = (
  term: Term,
  axis: number,
  stored: Stored = () => false,
): LinearTerms => {
  const shift = steady(term, axis, stored);
  if (shift !== undefined) return { scaled: [], shifts: shift.by === 0 ? [] : [shift] };
  if (term.tag === "map" && !stored(term)) {
    const split = (t: Term): LinearTerms => linearTerms(t, axis, stored);
    const minus = (t: Term): LinearTerms => times(split(t), { terms: [], by: -1 });
    const [x, y] = term.args;
    if (term.op === "add") return plus(split(x), split(y));
    if (term.op === "sub") return plus(split(x), minus(y));
    if (term.op === "neg") return minus(x);
    if (term.op === "mul") {
      const [a, b] = [steady(x, axis, stored), steady(y, axis, stored)];
      if (a !== undefined) return times(split(y), a);
      if (b !== undefined) return times(split(x), b);
    }
  }
  return { scaled: [{ factor: ONE, rest: term }], shifts: [] };
};
