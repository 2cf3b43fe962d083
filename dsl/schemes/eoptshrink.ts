/**
 * eOptShrinkQ (arXiv 2605.02905): a low rank of each head in f16, and what is left by TurboQuant:
 * x ≈ c Bᵀ + γ·centroid[code]·(D·H)ᵀ.
 *
 * The paper keeps as many axes as stand above the noise and shrinks their singular values; a rank that
 * depends on data is no shape, so r is given and nothing is shrunk. Bits: b + 16/d + 16·r/d, and 16·r/L.
 *
 * Streaming: axes are those of the prompt, later tokens meet them. Calibration: none.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { residual } from "../codec/residual.ts";
import type { Bits } from "../core/dtype.ts";
import { lowRank } from "../decompose/low_rank.ts";
import { turboquant } from "./turboquant.ts";

/** `rank` axes a head, the rest at 1 to 4 bits. */
export const eoptshrink = (bits: Bits, rank = 1): Codec =>
  residual(lowRank(rank), turboquant(bits));
