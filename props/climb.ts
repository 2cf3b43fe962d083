/**
 * Search for the tensor that comes closest to a bound. Random tensors seldom do: a bound that is too
 * small by little is found by climbing, and one that is never approached is too large.
 *
 * A pattern search: change one value, keep what raises the goal, go on in the direction that did.
 * @module
 */
import { codecBound } from "../dsl/codec/bound.ts";
import type { Codec } from "../dsl/codec/codec.ts";
import { input } from "../dsl/core/build.ts";
import type { Term } from "../dsl/core/term.ts";
import { boundOf } from "../dsl/bound/bound.ts";
import { idealOf } from "../dsl/bound/ideal.ts";
import { type Env, evalAll } from "../dsl/read/eval.ts";
import { normals } from "./arbitraries.ts";
import { norm } from "./laws/codec.ts";

/** What is climbed: a number of a tensor, 1 at the bound. */
export type Goal = (x: Float64Array) => number;

/** Where and how long to search. */
export interface Ascent {
  readonly start: Float64Array;
  readonly seed: number;
  /** How often the goal is asked. */
  readonly evaluations: number;
}

/** The best that was found. */
export interface Peak {
  readonly x: Float64Array;
  readonly ratio: number;
}

/** The largest value, relative to that of the start: a search does not leave for where all is clipped. */
const REACH = 4;

/** Climbs a goal; the same seed climbs the same way. */
export const climb = (goal: Goal, { start, seed, evaluations }: Ascent): Peak => {
  const next = normals(seed);
  const top = start.reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
  const held = (v: number): number => Math.fround(Math.max(-REACH * top, Math.min(REACH * top, v)));
  let best: Peak = { x: start, ratio: goal(start) };
  let step = top / 4;
  let [at, by] = [0, 0];
  for (let asked = 1; asked < evaluations; asked++) {
    if (by === 0) {
      at = Math.floor(Math.abs(next()) * 2 ** 20) % start.length;
      by = step * next();
    }
    const x = best.x.slice();
    x[at] = held(x[at] + by);
    const ratio = goal(x);
    if (ratio > best.ratio) {
      best = { x, ratio };
      step *= 2;
      by *= 2;
    } else {
      // Steps go from the spread of the values to a thousandth of it, and again.
      step = step < top / 4096 ? top / 4 : step * 0.85;
      by = 0;
    }
  }
  return best;
};

/** How errors and bounds of all elements become one ratio. */
export type Measure = (errors: Float64Array, bounds: Float64Array) => number;

/** The element that is closest to its own bound; what is no number is beyond every bound. */
export const closest: Measure = (errors, bounds) =>
  errors.reduce((most, e, i) => {
    const ratio = e / bounds[i];
    return Math.max(most, Number.isNaN(ratio) ? Infinity : ratio);
  }, 0);

/** 2-norm of the errors over 2-norm of the bounds. */
export const inNorm: Measure = (errors, bounds) => norm(errors) / norm(bounds);

const apart = (a: Float64Array, b: ArrayLike<number>): Float64Array =>
  a.map((v, i) => Math.abs(v - b[i]));

/**
 * Error over bound of a codec. `tolerance` is what rounding in f64 may add, relative to the norm of the
 * tensor, and keeps 0 / 0 out.
 */
export const codecGoal = (
  codec: Codec,
  shape: readonly number[],
  tolerance: number,
  measure: Measure = closest,
): Goal => {
  const x = input("x", shape, "f32");
  const parts = codec.encode(x);
  const terms = [codec.decode(parts, shape), codecBound(codec, x, parts)];
  return (data) => {
    const [back, bound] = evalAll(terms, { sizes: {}, inputs: { x: data } });
    const slack = tolerance * norm(data) + Number.MIN_VALUE;
    return measure(apart(back.data, data), bound.data.map((b) => b * (1 + tolerance) + slack));
  };
};

/** |program − ideal| over its bound, as one input of the program varies. */
export const programGoal = (
  term: Term,
  { sizes, inputs }: Env,
  name: string,
  measure: Measure = closest,
): Goal => {
  const terms = [term, idealOf(term), boundOf(term)];
  return (data) => {
    const [actual, ideal, bound] = evalAll(terms, { sizes, inputs: { ...inputs, [name]: data } });
    const slack = 2 ** -40 * norm(actual.data) + Number.MIN_VALUE;
    return measure(apart(actual.data, ideal.data), bound.data.map((b) => b + slack));
  };
};
