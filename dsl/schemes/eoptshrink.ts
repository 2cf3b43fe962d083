/**
 * eOptShrinkQ (arXiv 2605.02905): what of each head stands above noise as a low rank in f16, and what is left by
 * TurboQuant: x ≈ c·Bᵀ + γ·centroid[code]·(D·H)ᵀ, with singular values shrunk by the rule of least squared error.
 *
 * The paper keeps as many axes as stand above the noise; a rank that depends on data is no shape, so r is the
 * most that are kept, and axes below the noise are stored as zeros. Noise is taken for white, which the paper
 * does not ask. Bits: b + 16/d + 16·r/d, and 16·r/L.
 *
 * Streaming: axes and their shrinking are those of the prompt, later tokens meet them. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, f16, on, perHead } from "../codec/codec.ts";
import { residual } from "../codec/residual.ts";
import type { Bits } from "../core/dtype.ts";
import { shrunk } from "../decompose/shrink.ts";
import { turboquant } from "./turboquant.ts";

/** At most `rank` axes a head, the rest at 1 to 4 bits. */
export const eoptshrink = (bits: Bits, rank = 1): Codec => {
  const signal = pipe(shrunk({ rank }), on("coefficients", f16), on("basis", f16));
  return residual(perHead(signal), turboquant(bits));
};
