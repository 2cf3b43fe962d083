/**
 * SmoothQuant (arXiv 2211.10438) for a cache alone: size_j = (max_t |x_tj|)^½ of every channel, what is left by
 * symmetric integers, one scale a token over all heads: x̂_tj = size_j · s_t · c_tj.
 *
 * The paper takes half of the reach from activations and half from the weights that read them; what reads keys
 * is the query, which takes the sizes up whatever they are. Sizes are stored, so that channels that RoPE
 * rotates together need not share one. Bits: b + 16/D, D = heads × channels, and 16/L for the sizes.
 *
 * Streaming: sizes are those of the prompt, later tokens meet them. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, joinHeads, on } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { smooth } from "../decompose/smooth.ts";
import { quantize } from "../quantize/affine.ts";

/** Smoothed channels, rounded to nearest; takes `[heads, tokens, channels]`. */
export const smoothed = (bits: Bits, alpha = 0.5): Codec => {
  const integers = quantize({ bits, per: "token", range: "symmetric" });
  return joinHeads(pipe(smooth({ alpha }), on("values", integers)));
};
