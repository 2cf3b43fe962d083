/**
 * H2O (arXiv 2306.14048): heavy hitters, the tokens that have received most attention, and the newest ones.
 *
 * salience_t = Σ over all queries i ≥ t, and the heads that share a key head, of their attention to t. Kept: the
 * share `keep` of the tokens before the last `recent`, and those; each key head by itself. The paper sums as it
 * goes and evicts a token at each step; here the sums are those of the prompt, and it evicts once, when that ends.
 * Bits: keep·(b + 32/d) in the limit, b of the codec, 32 of a token's index.
 *
 * Streaming: the sums are a fold over queries, so those of later queries add to them; tokens that are gone stay
 * gone. Later tokens are kept. Calibration: none but the prompt.
 * @module
 */
import { attentionMass } from "../attention/salience.ts";
import type { Codec } from "../codec/codec.ts";
import { budget, type Chosen, chosen } from "./chosen.ts";
import type { KeysAndValues } from "./kivi.ts";

/** What {@link h2o} keeps. */
export interface Heavy {
  /** Share of the tokens before the newest ones. */
  readonly keep: number;
  /** Newest tokens; 64 unless given. */
  readonly recent?: number;
}

/** Heavy hitters and a window, by a codec or by one of keys and one of values. */
export const h2o = ({ keep, recent = 64 }: Heavy, codec: Codec | KeysAndValues): Chosen =>
  chosen(
    { recent },
    budget("h2o", keep, recent),
    [codec],
    ({ q, k }) => attentionMass({ q, k }),
  );
