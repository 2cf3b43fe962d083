/**
 * A rotation before integers, as QuaRot (arXiv 2404.00456) and SAW-INT4 (arXiv 2604.19157) store K and V
 * after RoPE: y = x·H_d, then m = min, s = (max − min) / (2^b − 1), ŷ = s·c + m, x̂ = ŷ·H_d.
 *
 * One scale and minimum a token and head, or for g channels of the rotated token. H is folded into the query
 * for K and into the output for V. The papers store s and a whole zero point and clip the range by .95; here
 * the minimum is stored and nothing is clipped. Bits: b + 32/d, or b + 32/g.
 *
 * Streaming: every token is coded alone, nothing is held back. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { hadamard } from "../decompose/hadamard.ts";
import { quantize } from "../quantize/affine.ts";

/** Hadamard, then integers per token and head, or per `group` of its channels. */
export const quarot = (bits: Bits, group?: number): Codec =>
  pipe(
    hadamard(),
    on("values", quantize({ bits, per: group ?? "token", range: "asymmetric" })),
  );
