/**
 * StreamingLLM (arXiv 2309.17453): the first tokens, which attention falls back to, and the newest ones.
 *
 * Kept: tokens 0 … sinks − 1 and the last `recent`, by any codec; in the paper 4 and as many as the cache has
 * room for, in f16. Bits of n tokens: (sinks + recent)·(b + 32/d)/n with b of the codec, 32 of an index: none in
 * the limit. Keys stay turned by the place where they stood, as for the other schemes here; the paper turns them
 * by the place in the cache, so that a text may be longer than the model's context.
 *
 * Streaming: what is outside of the window when the prompt ends is dropped, later tokens are kept; by
 * {@link movingWindow} the window moves with each token, as in the paper. Calibration: none.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { type Evicting, evicting } from "../codec/evicting.ts";
import { constant } from "../core/build.ts";
import { type Chosen, chosen } from "./chosen.ts";
import type { KeysAndValues } from "./kivi.ts";

/** What {@link streamingllm} keeps. */
export interface Streaming {
  /** First tokens; 4 unless given. */
  readonly sinks?: number;
  /** Newest tokens. */
  readonly recent: number;
}

/** Sinks and a window, by a codec or by one of keys and one of values. */
export const streamingllm = (
  { sinks = 4, recent }: Streaming,
  codec: Codec | KeysAndValues,
): Chosen =>
  chosen(
    { sinks, recent, salience: (shape) => constant(0, shape.slice(0, -1)) },
    [{ start: sinks + recent }],
    [codec],
  );

/** The same while decoding, in bounded memory: the window moves on with each token. */
export const movingWindow = (
  { sinks = 4, recent }: Streaming,
  codec: Codec | KeysAndValues,
): Evicting => evicting({ sinks, recent }, codec);
