/**
 * Bounds of contractions and of folds other than softmax.
 *
 * ```text
 * A·B     |A|·eB + eA·|B| + eA·eB, or ‖A‖₂·‖eB‖₂ where that is smaller      n + 3 roundings
 * Σ       Σ e                                                                n + 3 roundings
 * max     max e
 * ```
 * A sum over a size that is known only when a program runs is settled at once: its roundings are a term.
 * @module
 */
import { constant, contractBy, foldBy, map } from "../core/build.ts";
import { gramLabels, knownCount, summedDims } from "../core/shape.ts";
import type { Dim, Term, TermOf } from "../core/term.ts";
import type { Machine } from "../read/machine.ts";
import {
  type Bounded,
  type Context,
  type Error,
  exact,
  LEAST,
  sum,
  times,
  total,
} from "./known.ts";
import { products } from "./maps.ts";
import { crossNorm } from "./norm.ts";
import { isExact, isWhole } from "./whole.ts";

/** One rounding a product, n sums, two more for a split into parts and its merge. */
const PARTS = 3;

/** A number of elements: known, or a term of no axes. */
export const countTerm = (dims: readonly Dim[]): Term | number =>
  dims.reduce<Term | number>((n, d) => {
    if (typeof d === "number") return n;
    const count = foldBy("sum", "sum", { args: [["n"]], out: [] }, [constant(1, [d])]);
    return typeof n === "number" ? times(count, n) : map("mul", count, n);
  }, knownCount(dims));

/** γ(a·n + b) as a term, a little above. */
export const growthTerm = (m: Machine, n: Term, a: number, b: number): Term => {
  const ku = map("mul", map("add", times(n, a), b), m.u * (1 + 2 ** -10));
  return map("div", ku, map("max", map("sub", 1, ku), 2 ** -10));
};

/** What a sum over known or unknown sizes adds to operands' growth. */
const summed = (
  t: TermOf<"contract"> | TermOf<"fold">,
  value: Term,
  error: Error,
  growth: number,
  size: () => Term,
  c: Context,
): Bounded => {
  if (c.machine === undefined) return { value, error, growth: 0, size };
  const n = countTerm(summedDims(t.labels, t.args));
  if (typeof n === "number") return { value, error, growth: growth + n + PARTS, size };
  const g = growthTerm(c.machine, n, 1, growth + PARTS);
  const spread = map("add", g, constant(0, t.shape));
  const grown = error && map("mul", error, map("add", spread, 1));
  return { value, error: sum(grown, map("mul", size(), spread)), growth: 0, size };
};

/**
 * Elementwise, or by norms where the error of an operand comes through a linear map. On a machine terms
 * come after the rules, which have moved such maps to the other operand: there |q·S|·e is sharper still.
 */
const productError = (t: TermOf<"contract">, a: Bounded, b: Bounded, c: Context): Error => {
  const plain = products(a, b, c, (x, y) => contractBy(t.labels, x, y));
  if (plain === undefined || c.machine !== undefined) return plain;
  const sharp = b.error === undefined
    ? crossNorm(t, 1, c)
    : a.error === undefined
    ? crossNorm(t, 0, c)
    : undefined;
  return sharp === undefined ? plain : map("min", plain, sharp);
};

/** A sum of products of sizes stays above the least: of two small ones a machine makes 0. Whole numbers make no size smaller. */
const sizeOfProducts = (args: readonly Term[], product: Term, c: Context): Term =>
  c.machine === undefined || args.some(isWhole) ? product : map("add", product, LEAST);

/** The bound of a contraction. */
export const contractBound = (t: TermOf<"contract">, value: Term, c: Context): Bounded => {
  const [a, b] = t.args.map(c.of);
  const size = (): Term => sizeOfProducts(t.args, contractBy(t.labels, a.size(), b.size()), c);
  return summed(t, value, productError(t, a, b, c), a.growth + b.growth, size, c);
};

/** The bound of a fold that is no softmax. */
export const foldBound = (t: TermOf<"fold">, value: Term, c: Context): Bounded => {
  const a = c.of(t.args[0]);
  if (t.monoid === "gram") {
    const product = (x: Term, y: Term): Term => contractBy(gramLabels(t.labels), x, y);
    const size = (): Term => sizeOfProducts(t.args, product(a.size(), a.size()), c);
    return summed(t, value, products(a, a, c, product), 2 * a.growth, size, c);
  }
  if (t.monoid === "sum") {
    // Sums of whole numbers, counts: nothing is rounded.
    if (isExact(t as Term) && total(a, c) === undefined) return exact(value);
    const folded = (x: Term): Term => foldBy("sum", "sum", t.labels, [x]);
    return summed(t, value, a.error && folded(a.error), a.growth, () => folded(a.size()), c);
  }
  const largest = (x: Term): Term => foldBy("max", "max", t.labels, [x]);
  return {
    value,
    error: a.error && largest(a.error),
    growth: a.growth,
    size: () => largest(a.size()),
  };
};
