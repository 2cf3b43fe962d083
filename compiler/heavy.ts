/**
 * What makes a term dear: it must be in memory before it is used, or it is held in group memory.
 * @module
 */
import { isDynamic, knownCount, summedDims } from "../dsl/core/shape.ts";
import { argsOf, type Dim, type Term, type TermOf } from "../dsl/core/term.ts";
import { computedBy } from "./kernel.ts";
import { type HeldAxes, heldCount } from "./lower/row.ts";
import { isHadamard } from "./rules/butterfly.ts";

/** Multiply-adds of a product that is worth a kernel of tiles. */
const BIG_PRODUCT = 40_000;
/** Products of at least this many terms are made once a token, apart from the score. */
export const LONG_PRODUCT = 16;

/** A fold over tokens or axes. */
export type Fold = Term & TermOf<"fold">;
/** A contraction. */
export type Product = Term & TermOf<"contract">;

/** Does it take a loop? A stage of a butterfly is a sum or a difference: it is made where the next one needs it. */
export const isHeavy = (t: Term): boolean =>
  (t.tag === "contract" && !(t.args[1].shape[0] === 2 && isHadamard(t.args[1]))) ||
  t.tag === "fold" || t.tag === "routine";

/** Is it a fold that streams: weighted by the softmax of its scores? */
export const isStream = (t: Term): t is Fold => t.tag === "fold" && t.monoid === "softmax";

/** Sizes of what a fold or a product adds up. */
export const goneDims = (t: Fold | Product): Dim[] => summedDims(t.labels, t.args);

/** Is it a product that is worth a kernel of tiles? */
export const isBig = (t: Term): t is Product =>
  t.tag === "contract" &&
  (isDynamic(goneDims(t as Product)) ||
    knownCount(goneDims(t as Product)) * knownCount(t.shape) > BIG_PRODUCT);

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
