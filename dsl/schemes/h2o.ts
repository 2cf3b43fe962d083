/**
 * H2O (arXiv 2306.14048): heavy hitters, the tokens that have received most attention, and the newest ones.
 *
 * salience_t = Σ over all queries i ≥ t, and the heads that share a key head, of their attention to t. Kept: the
 * share `keep` of the tokens before the last `recent`, and those; each key head by itself. The paper sums as it
 * goes and evicts a token at each step: {@link heavyHitters}. By {@link h2o} the sums are those of a prompt, and it
 * evicts once, when that ends.
 * Bits: keep·(b + 32/d) in the limit, b of the codec, 32 of a token's index.
 *
 * Streaming: the sums are a fold over queries, so those of later queries add to them; tokens that are gone stay
 * gone. Later tokens are kept. Calibration: none but the prompt.
 * @module
 */
import { attentionMass } from "../attention/salience.ts";
import type { Codec } from "../codec/codec.ts";
import { type Evicting, evicting } from "../codec/evicting.ts";
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

/** What {@link heavyHitters} keeps. */
export interface Hitters {
  /** Tokens that have received most attention. */
  readonly heavy: number;
  /** Newest tokens; as many as heavy ones unless given, as in the paper. */
  readonly recent?: number;
  /** First tokens, which stay whatever they receive; none unless given. */
  readonly sinks?: number;
}

/** The same while decoding, in bounded memory: sums go on, and with each token the least looked at goes. */
export const heavyHitters = (
  { heavy, recent = heavy, sinks = 0 }: Hitters,
  codec: Codec | KeysAndValues,
): Evicting => evicting({ sinks, heavy, recent }, codec);
