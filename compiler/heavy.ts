/**
 * What makes a term dear: it must be in memory before it is used, or it is held in group memory.
 * @module
 */
import { isDynamic, knownCount, summedDims } from "../dsl/core/shape.ts";
import { argsOf, type Dim, type Term, type TermOf } from "../dsl/core/term.ts";
import { computedBy, type Target } from "./kernel.ts";
import { type HeldAxes, heldCount } from "./lower/row.ts";
import { isHeavy, isStream } from "./repeated.ts";

/**
 * Multiply-adds of a product that is worth a kernel of tiles; of one of known size where lanes share it out and
 * every kernel is a dispatch: a rotation of 32 query heads of 128 channels is made by those that read it.
 */
const [BIG_PRODUCT, SHARED_PRODUCT] = [40_000, 2 ** 19];
/** Products of at least this many terms are made once a token, apart from the score. */
export const LONG_PRODUCT = 16;

/** A fold over tokens or axes. */
export type Fold = Term & TermOf<"fold">;
/** A contraction. */
export type Product = Term & TermOf<"contract">;

/** Sizes of what a fold or a product adds up. */
export const goneDims = (t: Fold | Product): Dim[] => summedDims(t.labels, t.args);

/** Is it a product that is worth a kernel of tiles? */
export const isBig = ({ serial }: Target) => (t: Term): t is Product =>
  t.tag === "contract" &&
  (isDynamic(goneDims(t as Product)) ||
    knownCount(goneDims(t as Product)) * knownCount(t.shape) >
      (serial || isDynamic(t.shape) ? BIG_PRODUCT : SHARED_PRODUCT));

/** Must the term be in memory before anything can use it? */
export const mustStore = (t: Term): boolean =>
  t.tag === "routine" ||
  (t.tag === "fold" && t.monoid !== "softmax" &&
    (t.monoid === "gram" || isDynamic(goneDims(t as Fold)))) ||
  (t.tag === "contract" && isDynamic(goneDims(t as Product)));

/** Heavy terms of a kernel that makes `roots`; what a streaming fold reads is its own kernel's. */
export const heavyIn = (roots: readonly Term[], stored: ReadonlySet<Term>): Term[] => {
  const own = roots.filter((r) => isStream(r) && !stored.has(r));
  const rest = roots.filter((r) => !own.includes(r));
  const streams = [...own, ...computedBy(rest, stored).filter(isStream)];
  const outside = computedBy(rest, new Set([...stored, ...streams])).filter(isHeavy);
  // What a stream reads is its own kernel's, streams inside its operands included.
  const hidden = new Set(streams.flatMap((t) => computedBy(argsOf(t), stored)));
  const all = new Set([...outside, ...streams]);
  // Operands have smaller ids: this order can be computed.
  return [...all].filter((t) => !hidden.has(t) || outside.includes(t)).sort((a, b) => a.id - b.id);
};

/** Floats of group memory that staged terms take, for one row. */
export const floatsOf = (axes: ReadonlyMap<Term, HeldAxes>): number =>
  [...axes].reduce((n, [t, held]) => n + heldCount(t, held), 0);
