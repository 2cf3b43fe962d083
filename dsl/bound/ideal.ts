/**
 * The ideal of a program: the same program with every rounding to a stored type left out, saturation
 * kept, and scales as stored.
 *
 * Before: `s·clamp(rint(x/s))`; after: `s·clamp(x/s)`, where s is the rounded scale in both.
 * @module
 */
import { constant, map } from "../core/build.ts";
import { isGiven } from "../core/codes.ts";
import { DTYPES, isFixedPoint } from "../core/dtype.ts";
import { between } from "../core/gaps.ts";
import { argsOf, type Term, topological, withArgs } from "../core/term.ts";
import type { Machine } from "../read/machine.ts";

/** What is known beside the program. */
export interface Known {
  /** Terms whose stored values are given: the term, and what stands for it. */
  readonly stored?: ReadonlyMap<Term, Term>;
  /** Packed inputs are codes of something: half a code off. */
  readonly codes?: boolean;
  /**
   * Read the values of a softmax once more for their range, and its weights for the tokens that are far off
   * (the default); or bound them by what their codes can hold, which costs next to nothing.
   */
  readonly sharp?: boolean;
  /** Roundings that count as they were stored, besides those that codes of the program are computed against. */
  readonly exact?: Iterable<Term>;
  /** Codes that are made once and held in memory, so that whoever reads them sees the same. */
  readonly held?: ReadonlySet<Term>;
  /** The arithmetic that computes the program and its bound; exact if not given. */
  readonly machine?: Machine;
}

/** Squares, of values or of the entries of a table that codes look up. */
const isSquare = (t: Term): boolean =>
  (t.tag === "reshape" && isSquare(t.args[0])) ||
  (t.tag === "map" && t.op === "mul" && t.args[0] === t.args[1]) ||
  (t.tag === "gather" && t.args[0].tag === "table" && t.args[0].values.every((x) => x >= 0));

/** A sum of squares: what a norm is made of. */
const isEnergy = (t: Term): boolean =>
  t.tag === "fold" && t.monoid === "sum" && isSquare(t.args[0]);

/** Extents, norms and Gram matrices of all values, and the basis made of a Gram matrix. Factors of svd and qr hold the values themselves. */
const isStatistic = (t: Term): boolean =>
  (t.tag === "routine" && t.routine === "eigh") ||
  (t.tag === "fold" && t.monoid !== "sum" && t.monoid !== "softmax") || isEnergy(t);

/** Does the node round to a stored type? */
export const isLossy = (t: Term): boolean =>
  (t.tag === "cast" && t.dtype !== "f32" && !isFixedPoint(t.dtype)) ||
  (t.tag === "map" && t.op === "rint");

/** Terms that follow an input value by value, not only through a statistic of all of it. */
export const directOf = (order: readonly Term[]): Set<Term> => {
  const direct = new Set<Term>();
  for (const t of order) {
    if (t.tag === "input" || (!isStatistic(t) && argsOf(t).some((a) => direct.has(a)))) {
      direct.add(t);
    }
  }
  return direct;
};

/** A whole number that is made of places alone: a digit of a token's place, a row of a table. */
export const isPlace = (t: Term): boolean =>
  !isGiven(t) && (t.dtype === "u32" || (t.tag === "map" && t.op === "rint"));

/**
 * Roundings of statistics that codes are computed against, halves that are statistics of codes, and whole numbers
 * that no input has a part in.
 */
export const parametersOf = (root: Term): Set<Term> => {
  const order = topological([root]);
  const direct = directOf(order);
  const [against, above] = [new Set<Term>(), new Set<Term>()];
  for (const t of order) {
    const codes = isLossy(t) && direct.has(t);
    if (codes) topological(argsOf(t)).forEach((a) => against.add(a));
    if (codes || argsOf(t).some((a) => above.has(a))) above.add(t);
  }
  const ofCodes = (t: Term): boolean => t.dtype === "f16" && above.has(t);
  return new Set(
    order.filter((t) =>
      isLossy(t) && !direct.has(t) && (against.has(t) || ofCodes(t) || isPlace(t))
    ),
  );
};

/** A node over ideal operands: a table whose index was not rounded is read between its entries. */
export const overIdeal = (t: Term, args: readonly Term[]): Term =>
  t.tag === "gather" && t.args[0].tag === "table" && args[1] !== t.args[1]
    ? between(t.args[0].values, args[1])
    : withArgs(t, args);

const clamped = (x: Term, lo: number, hi: number): Term =>
  map("min", map("max", x, constant(lo, x.shape)), constant(hi, x.shape));

/** The program without its roundings. */
export const idealOf = (root: Term, { stored, exact = [] }: Known = {}): Term => {
  const parameters = new Set([...parametersOf(root), ...exact]);
  const actual = new Map<Term, Term>();
  const done = new Map<Term, Term>();
  for (const t of topological([root])) {
    const given = stored?.get(t);
    actual.set(t, given ?? withArgs(t, argsOf(t).map((a) => actual.get(a)!)));
    // As stored: of what the program that runs made, also where that was rounded before.
    if (parameters.has(t)) done.set(t, actual.get(t)!);
    else if (given !== undefined && !isLossy(t)) done.set(t, given);
    else if (!isLossy(t)) done.set(t, overIdeal(t, argsOf(t).map((a) => done.get(a)!)));
    else {
      const arg = done.get(argsOf(t)[0])!;
      const { min, max } = DTYPES[t.dtype];
      done.set(t, t.tag === "cast" ? clamped(arg, min, max) : arg);
    }
  }
  return done.get(root)!;
};
