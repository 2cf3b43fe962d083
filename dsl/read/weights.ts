/**
 * What rounding the weights of a softmax fold to 16 bits costs (`weights: 16` of the node).
 *
 * A part of at most {@link PART} tokens multiplies codes c ≤ C by integers rint(w / step), where
 * w = p·s and step = max w / 32767. A part is off by at most ½·step·Σ c ≤ PART · max p · S / 65534 with
 * S the largest s·C; the largest weights of all parts add up to at most 1, since all weights do.
 * @module
 */
import { DTYPES, isPacked } from "../core/dtype.ts";
import { constant } from "../core/build.ts";
import { heldPeak } from "../core/gaps.ts";
import { rebuilt, type Term, type TermOf } from "../core/term.ts";
import { type Env, evalAll } from "./eval.ts";

/** Tokens of one part at most: 256 · 32767 · 255 still fits 32 bits. */
export const PART = 256;

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
  const values = fold.args[1];
  const [high, low] = evalAll([withCodes(values, 1), withCodes(values, 0)], env);
  const reach = high.data.reduce((top, x, i) => Math.max(top, Math.abs(x - low.data[i])), 0);
  return Math.min(tokens, PART) * reach / 65534;
};
