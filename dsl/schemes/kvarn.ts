/**
 * KVarN (vLLM #44581; no arXiv number is known): y = x·H_d, sizes of tokens and channels by Sinkhorn's
 * iteration on y², what is left by asymmetric integers: x̂ = (row · column · (s·c + m))·H_d.
 *
 * The source's tiles of 128 tokens are the whole prompt here, and its pool of sinks is `window`'s. A group of
 * all channels of a token could take up its row; it is stored as the source stores it.
 * Bits: b + 32/d + 16/d, and 16/L for columns. The source takes 4 bits for K and 2 for V.
 * Streaming: columns are those of the prompt, the size of a later token is against them. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { balance } from "../decompose/balance.ts";
import { hadamard } from "../decompose/hadamard.ts";
import { quantize } from "../quantize/affine.ts";

/** Rotated, balanced, coded; `rounds` of balancing, 16 in the source. */
export const kvarn = (bits: Bits, rounds = 4): Codec => {
  const integers = quantize({ bits, per: "token", range: "asymmetric" });
  const balanced = pipe(balance({ rounds }), on("values", integers));
  return pipe(hadamard(), on("values", balanced));
};
