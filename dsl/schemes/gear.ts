/**
 * GEAR (arXiv 2403.05527): codes, what they leave as a low rank, and outliers: x ≈ q(x − S) + c Bᵀ + S.
 *
 * Two outliers a token and head stand apart; the others asymmetric in groups of 64 channels; of what codes
 * leave, r principal axes a head in f16. The paper groups keys along tokens (`kivi`), takes the outliers of a
 * channel there, and finds the axes by power iteration; here both sides are coded as it codes values, and the
 * axes are eigenvectors of a Gram matrix.
 * Bits: b + 32/64 + 16·r/d + (32 + 2·16)/d (places of a token fill a word), and 16·r/L for the axes.
 *
 * Streaming: axes are those of the prompt's errors. Calibration: none.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { outliers } from "../codec/outliers.ts";
import { residual } from "../codec/residual.ts";
import type { Bits } from "../core/dtype.ts";
import { lowRank } from "../decompose/low_rank.ts";
import { rtnGrouped } from "./rtn.ts";

/** Codes, `rank` axes of what they leave, two outliers a token. */
export const gear = (bits: Bits, rank = 4): Codec =>
  outliers({ count: 2 })(residual(rtnGrouped(bits), lowRank(rank)));
