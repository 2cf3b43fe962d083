/**
 * What a bound knows of a term: how far off it is by roundings to stored types, and by how many
 * roundings of arithmetic, of numbers of what size, it was made.
 *
 * ```text
 * |computed − ideal| ≤ error + γ(growth)·size,   γ(k) = e^(k·u) − 1 ≥ (1 + u)^k − 1
 * ```
 *
 * `size` is the term with every sum a sum of magnitudes (Higham, Accuracy and Stability of Numerical
 * Algorithms, ch. 3) and every code the largest there is, so it is cheap where codes are many. It stays
 * above 2^-102, so that γ(1)·size covers a flush to zero.
 * @module
 */
import { constant, map } from "../core/build.ts";
import { holdsCodes } from "../core/codes.ts";
import type { Term } from "../core/term.ts";
import type { Machine } from "../read/machine.ts";

/** An error: a term, or nothing where there is none. */
export type Error = Term | undefined;

/** What is known of a term. */
export interface Bounded {
  /** The value in the program that runs. */
  readonly value: Term;
  /** Half steps of roundings to stored types, as they arrive here. */
  readonly error: Error;
  /** Roundings of arithmetic since they were last added to `error`; 0 on a machine that does not round. */
  readonly growth: number;
  /** Magnitude that those roundings are relative to. */
  readonly size: () => Term;
}

/** What the rules share. */
export interface Context {
  readonly of: (t: Term) => Bounded;
  readonly machine: Machine | undefined;
  readonly codes: boolean;
  readonly sharp: boolean;
  /**
   * How much further a value is off that a machine computes once more for its bound: where codes are made
   * on the way, a tie may then fall the other way, so that magnitudes seen are off by twice the error.
   */
  readonly again: 1 | 3;
  readonly parameters: ReadonlySet<Term>;
}

/** Larger than any claim. */
export const NO_CLAIM = 3e38;

/** The smallest size of what was rounded: a unit of it is the smallest normal f32. */
export const LEAST: number = 2 ** -102;

export const abs = (t: Term): Term =>
  t.tag === "map" && (t.op === "abs" || t.op === "exp") ? t : map("abs", t);

export const zero = (like: Term): Term => constant(0, like.shape);

/** a·x, nothing for 1. */
export const times = (x: Term, by: number): Term => by === 1 ? x : map("mul", x, by);

/** What k roundings make of a number, relative to it: (1 − u)^−k − 1 and less. */
export const growthOf = (m: Machine, k: number): number =>
  Math.min(Math.expm1(k * m.u * (1 + 2 ** -10)), NO_CLAIM);

/** Sum of what there is. */
export const sum = (...errors: readonly Error[]): Error =>
  errors.filter((e): e is Term => e !== undefined).reduce<Error>(
    (a, b) => a === undefined ? b : map("add", a, b),
    undefined,
  );

/** The larger of what there is. */
export const either = (a: Error, b: Error): Error =>
  a === undefined ? b : b === undefined ? a : map("max", a, b);

/** γ(growth)·size of a term. */
export const rounded = ({ growth, size }: Bounded, c: Context): Error =>
  growth === 0 || c.machine === undefined ? undefined : times(size(), growthOf(c.machine, growth));

/** Everything a term may be off. */
export const total = (b: Bounded, c: Context): Error => sum(b.error, rounded(b, c));

/**
 * A magnitude of the value, whichever kernel computes it once more. Where a machine would have to read
 * codes again it is that of the largest codes.
 */
export const magnitude = (b: Bounded, c: Context): Term =>
  c.machine !== undefined && holdsCodes(b.value)
    ? b.size()
    : b.growth === 0 || c.machine === undefined
    ? abs(b.value)
    : sum(abs(b.value), times(size2(b), growthOf(c.machine, b.growth)))!;

const size2 = (b: Bounded): Term => times(b.size(), 2);

/** An exact value. */
export const exact = (value: Term): Bounded => ({
  value,
  error: undefined,
  growth: 0,
  size: () => abs(value),
});

/** A value that one operation of this many units of roundoff made of settled operands. */
export const made = (value: Term, error: Error, units: number, c: Context): Bounded => ({
  value,
  error,
  growth: c.machine === undefined ? 0 : units,
  size: () => map("add", abs(value), LEAST),
});
