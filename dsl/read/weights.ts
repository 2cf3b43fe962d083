/**
 * What rounding the weights of a softmax fold to 16 or 8 bits costs (`weights` of the node).
 *
 * Up to n tokens share a step: they multiply codes c ≤ C by integers rint(w / step), where w = p·s and
 * step = max |w| / largest. Together they are off by at most ½·step·Σ c ≤ n · max p · S / (2 · largest)
 * with S the largest |s|·C; the largest p of all steps add up to at most 1, since all weights do.
 * @module
 */
import { DTYPES, isPacked } from "../core/dtype.ts";
import { constant } from "../core/build.ts";
import { heldPeak } from "../core/gaps.ts";
import { rebuilt, type Term, type TermOf } from "../core/term.ts";
import { type Env, evalAll } from "./eval.ts";

/** Bits of a rounded weight. */
export type WeightBits = NonNullable<TermOf<"fold">["weights"]>;

/** The largest integer of a width, and how many tokens share a step at most. */
export const WEIGHTS: Readonly<Record<WeightBits, { largest: number; tokens: number }>> = {
  // 256 · 32767 · 255 still fits 32 bits.
  16: { largest: 32767, tokens: 256 },
  // 16 · 127 · 15 still fits 16 bits.
  8: { largest: 127, tokens: 16 },
};

/** By how much of the range of codes a fold is off at most. */
export const weightShare = (bits: WeightBits, tokens = Infinity): number =>
  Math.min(tokens, WEIGHTS[bits].tokens) / (2 * WEIGHTS[bits].largest);

/**
 * The term with every stored code at a share of its range: 0 the smallest, 1 the largest there is. What is
 * looked up in a table goes from nothing to its largest magnitude.
 */
export const withCodes = (term: Term, share: number): Term =>
  rebuilt(term, (t, over) => {
    const peak = t.tag === "gather" ? heldPeak(t.args[0]) : undefined;
    if (peak !== undefined) return constant(share * peak, t.shape);
    return isPacked(t.dtype) ? constant(share * DTYPES[t.dtype].max, t.shape) : over();
  });

/** Largest error of any element of the fold's result, in exact arithmetic. */
export const weightError = (fold: TermOf<"fold">, env: Env, tokens: number): number => {
  if (fold.weights === undefined) return 0;
  const values = fold.args[1];
  const [high, low] = evalAll([withCodes(values, 1), withCodes(values, 0)], env);
  const reach = high.data.reduce((top, x, i) => Math.max(top, Math.abs(x - low.data[i])), 0);
  return weightShare(fold.weights, tokens) * reach;
};
