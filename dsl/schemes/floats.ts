/**
 * Floats of 8 and 4 bits (arXiv 2209.05433, 2310.10537), as caches hold them.
 *
 * fp8: G = max|x| / M of the whole tensor (f32), x̂ = G·fp8(x / G): E4M3 with M = 448, E5M2 with 57344.
 * Bits: 8.
 * mxfp4: blocks of 32 channels, s = 2^(⌊log2 max|x|⌋ − 2) in E8M0, x̂ = s·e2m1(x / s), saturating at ±6·s.
 * Bits: 4 + 8/32, where a token has at least 128 channels: the scales of a token fill whole words.
 * nvfp4: G as of E4M3, blocks of 16, s = e4m3(max|x / G|), x̂ = G·s·e2m1(x / (G·s)) with e2m1 over 6; the paper's
 * s/6 would take less of the range of E4M3, and errs alike. Bits: 4 + 8/16.
 *
 * Streaming: G is that of the prompt, later tokens saturate; all else is of one token. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, float, on } from "../codec/codec.ts";
import { DTYPES } from "../core/dtype.ts";
import { peak } from "../decompose/peak.ts";
import { codebook } from "../quantize/codebook.ts";
import { e2m1, fp4 } from "../quantize/levels.ts";

/** Floats of 8 bits under one scale. */
export const fp8 = (dtype: "e4m3" | "e5m2"): Codec =>
  pipe(peak({ to: DTYPES[dtype].max }), on("values", float(dtype)));

/** E2M1 in blocks of 32 with powers of two. */
export const mxfp4 = (block = 32): Codec =>
  codebook({ levels: fp4, per: block, scale: "power", stored: "e8m0" });

/** E2M1 in blocks of 16 with scales in E4M3, and one scale for all. */
export const nvfp4: Codec = pipe(
  peak({ to: DTYPES.e4m3.max }),
  on("values", codebook({ levels: e2m1, per: 16, scale: "absmax", stored: "e4m3" })),
);
