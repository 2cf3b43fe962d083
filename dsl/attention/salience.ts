/**
 * What each token counts, by what attention made of it: sums over queries, so folds over tokens whose results
 * add up, of one text or of several.
 *
 * ```text
 * p[k g i t] = softmax_t(scale · q·k)       token t for row i of the queries, masked where t > i
 * mass[k t]  = Σ_g Σ_i p                    H2O (arXiv 2306.14048): all rows; SnapKV (2404.14469): the last ones
 * ```
 *
 * A head's tokens count by the queries of all heads that share it. Weights are relative to the largest score of
 * their row, as those of attention.
 * @module
 */
import { broadcast, contract, foldOver, iota, map, sizeTerm } from "../core/build.ts";
import type { Kept } from "../codec/codec.ts";
import { rangeDim } from "../core/dims.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { range } from "../core/pieces.ts";
import type { Term } from "../core/term.ts";

/** Queries and keys of the same tokens. */
export interface Observed {
  /** Queries `[kv, group, tokens, d]`. */
  readonly q: Term;
  /** Keys `[kv, tokens, d]`. */
  readonly k: Term;
  /** How many of the last queries are asked; all unless given. */
  readonly last?: number;
  /** Divide by how many of the queries see a token, so that early tokens do not count more for being early. */
  readonly mean?: boolean;
}

/** One number a row repeated along its tokens. */
const eachToken = (x: Term, like: Term): Term => broadcast(x, like.shape, [0, 1, 2]);

/** Scores `[kv, group, rows, tokens]` as those of attention, and which of them are hidden, if any are. */
interface Scored {
  readonly scores: Term;
  readonly hidden?: Term;
}

/** Weights of attention, summed over rows and the heads that share a key head: `[kv, tokens]`. */
const received = ({ scores, hidden }: Scored): Term => {
  const seen = (x: Term, instead: number): Term =>
    hidden === undefined ? x : map("select", hidden, instead, x);
  const top = foldOver("max", "max", seen(scores, -3e38), [3]);
  const above = map("sub", scores, eachToken(top, scores));
  const weights = seen(map("exp", map("min", above, 0)), 0);
  // The largest weight of a row is 1; a row that sees nothing gives nothing.
  const sums = map("max", foldOver("sum", "sum", weights, [3]), 1);
  return foldOver("sum", "sum", map("div", weights, eachToken(sums, scores)), [1, 2]);
};

const scored = (q: Term, k: Term): Term =>
  map("div", contract("k g i d, k t d -> k g i t", q, k) as Term, Math.sqrt(q.shape[3] as number));

/** Queries of some tokens and a cache that holds them, and others. */
export interface Looking {
  /** Queries `[kv, group, rows, d]`. */
  readonly q: Term;
  /** Keys `[kv, held, d]` with their places (`codec/evicting.ts`). */
  readonly k: Kept;
  /** Row i sees the tokens that stood up to i + offset; all that are held unless given. */
  readonly offset?: Term;
}

/** Attention that each token of a cache receives from some rows of queries, `[kv, held]`. */
export const attentionReceived = ({ q, k: { tokens, positions }, offset }: Looking): Term => {
  const scores = scored(q, tokens);
  if (offset === undefined) return received({ scores });
  if (positions === undefined) {
    throw new ValueError("attentionReceived", "there is an offset, and keys have no places");
  }
  const last = map("add", iota(scores.shape, 2), offset);
  const hidden = map("less", last, broadcast(positions, scores.shape, [0, 3]));
  return received({ scores, hidden });
};

/**
 * Attention that each token received, `[kv, tokens]`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { attentionMass, evaluate, input } from "kvfold";
 * const mass = attentionMass({ q: input("q", [1, 1, 3, 2], "f32"), k: input("k", [1, 3, 2], "f32") });
 * const inputs = { q: [0, 0, 0, 0, 0, 0], k: [1, 2, 3, 4, 5, 6] };
 * // Queries of 0 look at all tokens alike: 1 + 1/2 + 1/3, 1/2 + 1/3, 1/3.
 * const { data } = evaluate(mass, { sizes: {}, inputs });
 * ok([11 / 6, 5 / 6, 1 / 3].every((x, t) => Math.abs(x - data[t]) < 1e-6));
 * ```
 */
export const attentionMass = ({ q, k, last, mean = false }: Observed): Term => {
  const tokens = q.shape[2];
  if (q.shape.length !== 4 || k.shape.length !== 3 || k.shape[1] !== tokens) {
    throw new ShapeError(
      "attentionMass",
      `q is ${shapeText(q.shape)} and k ${
        shapeText(k.shape)
      }, not [kv, group, tokens, d] and [kv, tokens, d]`,
    );
  }
  const from = { start: 0, tail: last ?? 0, group: 1 };
  const rows = last === undefined ? q : range(q, 2, from)!;
  const first = last === undefined ? 0 : rangeDim(tokens, { start: 0 }, from);
  const scores = scored(rows, k);
  const row = map("add", iota(scores.shape, 2), sizeTerm(first));
  const hidden = map("less", row, iota(scores.shape, 3));
  const mass = received({ scores, hidden });
  if (!mean) return mass;
  const seen = foldOver("sum", "sum", map("sub", 1, hidden), [1, 2]);
  return map("div", mass, seen);
};

/**
 * The mean of each entry of the last axis and its neighbours, `width` (odd) in all; beyond the ends there is 0.
 *
 * Before: 0 0 5 0 0 0; after, with a width of 5: 1 1 1 1 1 0.
 */
export const pooled = (x: Term, width: number): Term => {
  const n = x.shape.length;
  const size = x.shape[n - 1];
  const shape = [...x.shape, size];
  const place = (axis: number): Term => iota(shape, axis);
  const near = map("less", map("abs", map("sub", place(n - 1), place(n))), width / 2);
  const others = broadcast(x, shape, shape.map((_, i) => i).filter((i) => i !== n - 1));
  return map("div", foldOver("sum", "sum", map("mul", near, others), [n]), width);
};
