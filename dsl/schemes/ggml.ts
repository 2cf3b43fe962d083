/**
 * The block formats of ggml: 32 consecutive channels share a scale in f16.
 *
 * q4_0: s = h(M / −8) with M the value of largest magnitude and its sign, c = clamp(rint(x / s) + 8), four
 * bits, x̂ = (c − 8)·s: M is met, the opposite side has one level less. Bits: 4 + 16/32 = 4.5.
 * q4_1: m = h(min), s = h((max − min) / 15), x̂ = c·s + m. Bits: 4 + 32/32 = 5.
 * q8_0: s = h(max|x| / 127), x̂ = c·s. Bits: 8 + 16/32 = 8.5.
 *
 * Two differences from ggml: codes are against the scale as stored (there against the one not yet rounded),
 * and ties go to the even code (there away from 0). The bytes lie as kvfold lays codes, not in blocks.
 *
 * Streaming: every token is coded alone, nothing is held back. Calibration: none.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { quantize } from "../quantize/affine.ts";

/** Values of a block. */
const BLOCK = 32;

/** Four bits around 0, the largest magnitude met. */
export const q4_0: Codec = quantize({ bits: 4, per: BLOCK, range: "signed" });

/** Four bits from the smallest to the largest. */
export const q4_1: Codec = quantize({ bits: 4, per: BLOCK, range: "asymmetric" });

/** Eight bits around 0. */
export const q8_0: Codec = quantize({ bits: 8, per: BLOCK, range: "symmetric" });
