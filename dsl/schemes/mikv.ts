/**
 * MiKV (arXiv 2402.18096): no token left behind. Those that H2O would drop are stored in few bits.
 *
 * salience_t = Σ over all queries i ≥ t of their attention to t (`h2o.ts`). The share `important` of the tokens
 * before the last `recent` that counts most, and those, by the first codec, the others by the second; each key head
 * by itself. The paper also balances the outlier channels of queries and keys. Bits: σ·(b₁ + 32/d) + (1 − σ)·b₂ in
 * the limit, b of the codecs, 32 of an important token's index.
 *
 * Streaming: the choice is made when the prompt ends; later tokens are stored by the first codec. Calibration:
 * none but the prompt.
 * @module
 */
import { attentionMass } from "../attention/salience.ts";
import type { Codec } from "../codec/codec.ts";
import { budget, type Chosen, chosen } from "./chosen.ts";
import type { KeysAndValues } from "./kivi.ts";

/** What {@link mikv} takes for important. */
export interface Important {
  /** Share of the tokens before the newest ones. */
  readonly important: number;
  /** Newest tokens; 64 unless given. */
  readonly recent?: number;
}

/** Heavy hitters and a window by one codec, the others by another. */
export const mikv = (
  { important, recent = 64 }: Important,
  codecs: readonly [high: Codec | KeysAndValues, low: Codec | KeysAndValues],
): Chosen =>
  chosen(
    { recent },
    budget("mikv", important, recent),
    codecs,
    ({ q, k }) => attentionMass({ q, k }),
  );
