/**
 * ExpectedAttention (arXiv 2510.00636): keep what queries to come will look at, told by how queries are spread.
 *
 * Queries before RoPE are taken for normal with mean μ and covariance Σ; those to come are turned by R̄, the mean of
 * the rotations of the places ahead: μ' = R̄μ, Σ' = R̄ΣR̄ᵀ. For such a query E[e^(q·k/√d)] = e^z with
 * z_t = μ'·k_t/√d + k_tᵀΣ'k_t/(2d). salience_t = ‖v_t‖ · mean of softmax_t(z) over the heads that share a key head.
 * Kept: the share `keep` of the tokens behind the first 4 that counts most, and those; each key head by itself.
 * Bits: keep·(b + 32/d) in the limit, b of the codec, 32 of a token's index.
 *
 * Streaming: the choice is made when the prompt ends; later tokens are kept. Calibration: μ and Σ from Σ q and
 * Σ q qᵀ, folds over a prompt's tokens but the first 4.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { broadcast, contract, foldOver, gram, map, sizeTerm } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import { range } from "../core/pieces.ts";
import type { Term } from "../core/term.ts";
import { budget, type Chosen, chosen, type Prompt } from "./chosen.ts";
import type { KeysAndValues } from "./kivi.ts";

/** What {@link expectedAttention} keeps. */
export interface Expecting {
  /** Share of the tokens behind the first ones. */
  readonly keep: number;
  /** First tokens, kept and left out of the statistics; 4 unless given. */
  readonly sinks?: number;
}

/** Mean `[kv, group, d]` and covariance `[kv, group, d, d]` of queries `[kv, group, tokens, d]`. */
export const spreadOf = (q: Term): { readonly mean: Term; readonly covariance: Term } => {
  const n = sizeTerm(q.shape[2]);
  const over = (sum: Term): Term => map("div", sum, broadcast(n, sum.shape, []));
  const mean = over(foldOver("sum", "sum", q, [2]));
  const square = over(gram(q, [2]));
  const [a, b] = [[0, 1, 2], [0, 1, 3]].map((axes) => broadcast(mean, square.shape, axes));
  return { mean, covariance: map("sub", square, map("mul", a, b)) };
};

/** What tokens will count; see the head of the file. */
const expected = ({ k, v, raw, ahead }: Prompt, sinks: number): Term => {
  if (raw === undefined || ahead === undefined) {
    throw new ValueError(
      "expectedAttention",
      "the prompt has no queries before RoPE, or no way ahead",
    );
  }
  const d = k.shape[2] as number;
  const { mean, covariance } = spreadOf(range(raw, 2, { start: sinks })!);
  const turned = contract("k g d, e d -> k g e", mean, ahead) as Term;
  const spread = contract(
    "k g a f, e f -> k g a e",
    contract("k g d f, a d -> k g a f", covariance, ahead) as Term,
    ahead,
  ) as Term;
  const straight = map("div", contract("k g d, k t d -> k g t", turned, k) as Term, Math.sqrt(d));
  const around = contract("k g a e, k t e -> k g t a", spread, k) as Term;
  const keys = broadcast(k, around.shape, [0, 2, 3]);
  const wide = foldOver("sum", "sum", map("mul", around, keys), [3]);
  const z = map("add", straight, map("div", wide, 2 * d));
  const top = broadcast(foldOver("max", "max", z, [2]), z.shape, [0, 1]);
  const weights = map("exp", map("sub", z, top));
  const all = broadcast(foldOver("sum", "sum", weights, [2]), z.shape, [0, 1]);
  const share = foldOver("sum", "sum", map("div", weights, all), [1]);
  const size = map("sqrt", foldOver("sum", "sum", map("mul", v, v), [2]));
  return map("mul", share, size);
};

/** The most expected, by a codec or by one of keys and one of values. */
export const expectedAttention = (
  { keep, sinks = 4 }: Expecting,
  codec: Codec | KeysAndValues,
): Chosen =>
  chosen(
    { sinks },
    budget("expectedAttention", keep, sinks),
    [codec],
    (prompt) => expected(prompt, sinks),
  );
