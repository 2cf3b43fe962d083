/**
 * SnapKV (arXiv 2404.14469): what the end of a prompt looks at is what the answer will look at.
 *
 * salience_t = mean over 5 neighbours of Σ over the last `observed` queries, and the heads that share a key head,
 * of their attention to t. Kept: the share `keep` of the earlier tokens that counts most, and the last `observed`
 * ones; each key head by itself. Bits: keep·(b + 32/d) in the limit, b of the codec, 32 of a token's index.
 *
 * Streaming: the choice is made when the prompt ends; later tokens are kept. Calibration: none but the prompt.
 * @module
 */
import { attentionMass, pooled } from "../attention/salience.ts";
import type { Codec } from "../codec/codec.ts";
import { budget, type Chosen, chosen } from "./chosen.ts";
import type { KeysAndValues } from "./kivi.ts";

/** What {@link snapkv} keeps. */
export interface Snap {
  /** Share of the tokens before the last ones. */
  readonly keep: number;
  /** Last queries that are asked, whose tokens are kept; 64 unless given. */
  readonly observed?: number;
  /** Neighbours that are kept together, odd; 5 unless given. */
  readonly pool?: number;
}

/** The most looked at, by a codec or by one of keys and one of values. */
export const snapkv = (
  { keep, observed = 64, pool = 5 }: Snap,
  codec: Codec | KeysAndValues,
): Chosen =>
  chosen(
    { recent: observed },
    budget("snapkv", keep, observed),
    [codec],
    ({ q, k }) => pooled(attentionMass({ q, k, last: observed }), pool),
  );
