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
import { argsOf, type Term, type TermOf, topological, withArgs } from "../core/term.ts";
import { type Env, evalAll } from "./eval.ts";

/** Tokens of one part at most: 256 · 32767 · 255 still fits 32 bits. */
export const PART = 256;

/** The term with every stored code the smallest or the largest there is. */
const withCodes = (term: Term, largest: boolean): Term => {
  const known = new Map<Term, Term>();
  for (const t of topological([term])) {
    const peak = t.tag === "gather" ? heldPeak(t.args[0]) : undefined;
    const code = peak !== undefined
      ? constant(largest ? peak : 0, t.shape)
      : t.tag === "input" && isPacked(t.dtype)
      ? constant(largest ? DTYPES[t.dtype].max : 0, t.shape)
      : withArgs(t, argsOf(t).map((a) => known.get(a)!));
    known.set(t, code);
  }
  return known.get(term)!;
};

/** Largest error of any element of the fold's result, in exact arithmetic. */
export const weightError = (fold: TermOf<"fold">, env: Env, tokens: number): number => {
  const values = fold.args[1];
  const [high, low] = evalAll([withCodes(values, true), withCodes(values, false)], env);
  const reach = high.data.reduce((top, x, i) => Math.max(top, Math.abs(x - low.data[i])), 0);
  return Math.min(tokens, PART) * reach / 65534;
};
