/**
 * TurboQuant, the form for mean square error (arXiv 2504.19874): γ = ‖x‖ / √d in f16, y = x·D·H / γ with
 * random signs D, c the nearest Lloyd–Max centroid of N(0, 1) to y, x̂ = γ·centroid[c]·(D·H)ᵀ.
 *
 * A rotation keeps the norm, so γ is taken of the rotated token; written as in the paper it is
 * `normalize() |> on("direction", rotate() |> on("values", codebook(…, scale "none")))`. The rotation is
 * folded into the query for K and into the output for V. `keepNorm` rescales so that ‖x̂‖ = ‖x‖, which costs
 * no bits: the stored γ takes it up. Bits: b + 16/d.
 *
 * Streaming: every token is coded alone, nothing is held back. Calibration: none; the signs are of a seed.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { rotate } from "../decompose/rotate.ts";
import { codebook } from "../quantize/codebook.ts";
import { lloydMax } from "../quantize/levels.ts";

/** Rotated tokens at 1 to 4 bits, by Lloyd–Max centroids. */
export const turboquant = (bits: Bits, { keepNorm = false, seed = 0 } = {}): Codec =>
  pipe(
    rotate({ seed }),
    on("values", codebook({ levels: lloydMax(bits), per: "token", scale: "norm", keepNorm })),
  );
