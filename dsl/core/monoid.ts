/**
 * The monoids of `fold`, in f64. Everything along tokens is one of these folds; associativity is
 * why a kernel may split a context, append tokens, or merge a window with a packed history.
 *
 * Law (`props/laws/monoid.ts`): identity, associativity, fold(a ++ b) = fold(a) <> fold(b).
 * @module
 */
import type { Monoid } from "../../fp.ts";

/** A monoid with the way in (`lift`) and the ways out (`project`). */
export interface FoldMonoid<E, A> extends Monoid<A> {
  readonly lift: (element: E) => A;
  readonly project: Readonly<Record<string, (a: A) => number | Float64Array>>;
}

/** Sum of numbers. */
export const sum: FoldMonoid<number, number> = {
  empty: 0,
  concat: (a, b) => a + b,
  lift: (x) => x,
  project: { sum: (a) => a },
};

/** Largest number; nothing gives −∞. NaN wins. */
export const max: FoldMonoid<number, number> = {
  empty: -Infinity,
  concat: (a, b) => Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.max(a, b),
  lift: (x) => x,
  project: { max: (a) => a },
};

/** Smallest and largest number. */
export interface Extent {
  readonly lo: number;
  readonly hi: number;
}

/** Smallest and largest at once. */
export const extent: FoldMonoid<number, Extent> = {
  empty: { lo: Infinity, hi: -Infinity },
  concat: (a, b) => ({ lo: -max.concat(-a.lo, -b.lo), hi: max.concat(a.hi, b.hi) }),
  lift: (x) => ({ lo: x, hi: x }),
  project: { lo: (a) => a.lo, hi: (a) => a.hi },
};

/** Sum of outer products x xᵀ of vectors of n numbers, row-major. */
export const gram = (n: number): FoldMonoid<Float64Array, Float64Array> => ({
  empty: new Float64Array(n * n),
  concat: (a, b) => a.map((x, i) => x + b[i]),
  lift: (x) => Float64Array.from({ length: n * n }, (_, i) => x[Math.floor(i / n)] * x[i % n]),
  project: { gram: (a) => a },
});

/** Scores at or below this are masked: their weight is exactly 0. Finite, for f32 devices. */
export const MASKED: number = -3.0e38;

/** Largest score, sum of weights and weighted sum, both relative to `m`. */
export interface Weighted {
  readonly m: number;
  readonly l: number;
  readonly o: Float64Array;
}

const scaled = (a: Weighted, m: number): number => a.l === 0 ? 0 : Math.exp(a.m - m);

/**
 * Softmax-weighted sum of vectors of n numbers. Nothing, or only masked scores, gives zeros.
 * Merge: m = max mᵢ, l = Σ e^(mᵢ−m) lᵢ, o = Σ e^(mᵢ−m) oᵢ; result o / l.
 */
export const softmax = (
  n: number,
): FoldMonoid<{ readonly score: number; readonly value: Float64Array }, Weighted> => ({
  empty: { m: MASKED, l: 0, o: new Float64Array(n) },
  concat: (a, b) => {
    const m = max.concat(a.m, b.m);
    const [fa, fb] = [scaled(a, m), scaled(b, m)];
    return { m, l: fa * a.l + fb * b.l, o: a.o.map((x, i) => fa * x + fb * b.o[i]) };
  },
  lift: ({ score, value }) =>
    score <= MASKED
      ? { m: MASKED, l: 0, o: new Float64Array(n) }
      : { m: score, l: 1, o: Float64Array.from(value) },
  project: { mean: (a) => a.l === 0 ? new Float64Array(n) : a.o.map((x) => x / a.l) },
});

/** A fold in the order given. */
export const foldMap = <E, A>(monoid: FoldMonoid<E, A>, elements: Iterable<E>): A => {
  let acc = monoid.empty;
  for (const element of elements) acc = monoid.concat(acc, monoid.lift(element));
  return acc;
};
