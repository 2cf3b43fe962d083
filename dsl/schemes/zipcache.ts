/**
 * ZipCache (arXiv 2405.14256): more bits for tokens that attention looks at.
 *
 * salience_t = Σ over queries i ≥ t of their attention to t, over how many they are: a sum alone would favour
 * early tokens. The share `salient` that counts most is stored by the first codec, the others by the second; each
 * key head by itself. The paper takes 4 and 2 bits a token with a factor of each channel, and some probing queries
 * for the sums. Bits: σ·(b₁ + 32/d) + (1 − σ)·b₂, b of the codecs, 32 of a salient token's index.
 *
 * Streaming: the choice is made when the prompt ends; later tokens are stored by the first codec. Calibration:
 * none but the prompt.
 * @module
 */
import { attentionMass } from "../attention/salience.ts";
import type { Codec } from "../codec/codec.ts";
import { budget, type Chosen, chosen } from "./chosen.ts";
import type { KeysAndValues } from "./kivi.ts";

/** How many tokens {@link zipcache} takes for salient. */
export interface Zip {
  /** Share of all tokens. */
  readonly salient: number;
}

/** The salient ones by one codec, the others by another. */
export const zipcache = (
  { salient }: Zip,
  codecs: readonly [high: Codec | KeysAndValues, low: Codec | KeysAndValues],
): Chosen =>
  chosen(
    {},
    budget("zipcache", salient, 0),
    codecs,
    ({ q, k }) => attentionMass({ q, k, mean: true }),
  );
