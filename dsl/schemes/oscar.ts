/**
 * OSCAR (arXiv 2605.17757): y = x·U·H_d with U eigenvectors of the covariance of queries (for K) or of values
 * (for V), clamped to the .96 (K) or .92 (V) quantile of its magnitudes, then asymmetric integers a token and
 * head. x̂ = ŷ·(U·H_d)ᵀ: folded into the query and into the output. Bits: b + 32/d.
 *
 * The quantile is that of normal numbers times the root mean square of the token; see `clip`.
 * Calibration: U, from the Gram matrix Σ q qᵀ (K) or Σ v vᵀ (V), a fold over tokens; without one U = 1.
 * Streaming: every token is coded alone; sinks and a window are `window`'s.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, type Factored, on } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { clip } from "../decompose/clip.ts";
import { hadamard } from "../decompose/hadamard.ts";
import { quantize } from "../quantize/affine.ts";

/** Quantiles of magnitudes that bound a token. */
const CLIPS = { k: 0.96, v: 0.92 } as const;

/** Rotated, clipped, coded; `basis` is U of calibration (`linear`). */
export const oscar = (side: keyof typeof CLIPS, bits: Bits = 2, basis?: Factored): Codec => {
  const integers = quantize({ bits, per: "token", range: "asymmetric" });
  const turned = pipe(
    hadamard(),
    on("values", pipe(clip({ quantile: CLIPS[side] }), on("values", integers))),
  );
  return basis === undefined ? turned : pipe(basis, on("values", turned));
};
