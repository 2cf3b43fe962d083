/**
 * Attention of groups of query heads on a cache, as one softmax fold over tokens.
 *
 * ```text
 * q [kv, group, rows, d], k [kv, tokens, d], v [kv, tokens, e]  ->  [kv, group, rows, e]
 *   s[k g i t] = scale · Σ_d q[k g i d] k[k t d]        masked where t > i + offset, if causal
 *   out        = Σ_t softmax_t(s) v                     the fold `softmax`
 * ```
 *
 * The axis `group` is what query heads share a key head (GQA): no copy of k is made. A decode step has
 * one row. Of a cache that drops tokens (`codec/by_token.ts`) those that are kept are read, masked by where they
 * stood. The scores are a tensor of the formula, not of the kernel: a fold over tokens needs one at
 * a time. `k` and `v` may be decoded from a cache; a row that sees nothing gives zeros.
 * @module
 */
import { broadcast, contract, iota, map, sizeTerm, softmaxFold } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { MASKED } from "../core/monoid.ts";
import type { Kept } from "../codec/codec.ts";
import type { Term } from "../core/term.ts";

/** What {@link attend} reads. */
export interface Attend {
  /** Queries `[kv, group, rows, d]`. */
  readonly q: Term;
  /** Keys `[kv, tokens, d]`, or those that are kept of a cache. */
  readonly k: Term | Kept;
  /** Values `[kv, tokens, e]`, or those that are kept of a cache: of the same tokens. */
  readonly v: Term | Kept;
  /** Factor of the scores, 1/√d unless given. */
  readonly scale?: number;
  /** Row i sees the tokens up to i + offset: a number, a named size, or a scalar term. */
  readonly causal?: { readonly offset: number | string | Term };
}

const agree = (a: string, x: Term, i: number, b: string, y: Term, j: number): void => {
  if (x.shape[i] === y.shape[j]) return;
  throw new ShapeError(
    "attend",
    `axis ${i} of ${a} ${shapeText(x.shape)} is ${x.shape[i]}, axis ${j} of ${b} ${
      shapeText(y.shape)
    } is ${y.shape[j]}`,
  );
};

const axes = (name: string, term: Term, expected: string, count: number): void => {
  if (term.shape.length === count) return;
  throw new ShapeError("attend", `${name} is ${shapeText(term.shape)}, not [${expected}]`);
};

const offsetOf = (offset: number | string | Term): number | Term => {
  if (typeof offset === "string") return sizeTerm(offset);
  if (typeof offset === "number") return offset;
  if (offset.shape.length === 0) return offset;
  throw new ShapeError("attend", `offset is ${shapeText(offset.shape)}, not one number`);
};

/**
 * Attention softmax(scale · q·kᵀ)·v of query heads on the key head they share, `[kv, group, rows, e]`: one fold
 * over tokens. Row i sees tokens up to i + `causal.offset`, all of them unless given; a row that sees none
 * gives zeros. A `ShapeError` names the operands and the two axes that disagree.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { attend, evaluate, input } from "kvfold";
 * const [q, k] = [input("q", [1, 1, 1, 2], "f32"), input("k", [1, "t", 2], "f32")];
 * const out = attend({ q, k, v: input("v", [1, "t", 1], "f32"), causal: { offset: 1 } });
 * const inputs = { q: [0, 0], k: [1, 2, 3, 4, 5, 6], v: [2, 4, 600] };
 * ok(evaluate(out, { sizes: { t: 3 }, inputs }).data[0] === 3); // the mean of the two that are seen
 * ```
 */
export const attend = ({ q, k: keys, v: values, scale, causal }: Attend): Term => {
  const [{ tokens: k, positions, which }, { tokens: v, which: others }] = [keys, values].map(
    (x): Kept => "tokens" in x ? x : { tokens: x, which: [] },
  );
  if (which.length !== others.length || which.some((t, i) => t !== others[i])) {
    throw new ValueError("attend", "keys and values are of tokens that were chosen differently");
  }
  axes("q", q, "kv, group, rows, d", 4);
  axes("k", k, "kv, tokens, d", 3);
  axes("v", v, "kv, tokens, e", 3);
  agree("q", q, 0, "k", k, 0);
  agree("q", q, 3, "k", k, 2);
  agree("k", k, 0, "v", v, 0);
  agree("k", k, 1, "v", v, 1);
  const d = q.shape[3];
  if (scale === undefined && typeof d !== "number") {
    throw new ValueError("attend", `scale is not given, and d of q is the dynamic size ${d}`);
  }
  const factor = scale ?? 1 / Math.sqrt(d as number);
  const scores = map("mul", contract("k g i d, k t d -> k g i t", q, k), factor);
  return softmaxFold("k g i t, k t e -> k g i e", masked(scores, causal?.offset, positions), v);
};

const masked = (
  scores: Term,
  offset: number | string | Term | undefined,
  positions?: Term,
): Term => {
  if (offset === undefined) return scores;
  const row = iota(scores.shape, 2);
  const token = positions === undefined
    ? iota(scores.shape, 3)
    : broadcast(positions, scores.shape, [0, 3]);
  const end = map("add", map("add", row, offsetOf(offset)), 1);
  return map("select", map("less", token, end), scores, MASKED);
};
