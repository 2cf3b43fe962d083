/**
 * NF4 in groups (arXiv 2305.14314), as a cache format: s = h(max|x|) of g consecutive channels,
 * x̂ = s·level[c] with c the nearest of 16 quantiles of N(0, 1). Bits: 4 + 16/g.
 *
 * Streaming: every token is coded alone, nothing is held back. Calibration: none; the codebook is fixed.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { codebook } from "../quantize/codebook.ts";
import { nf4 } from "../quantize/levels.ts";

/** NF4, one scale for `group` consecutive channels. */
export const nf4Grouped = (group = 64): Codec =>
  codebook({ levels: nf4, per: group, scale: "absmax" });
