/**
 * OSCAR (arXiv 2605.17757): y = x·U·H_d with U eigenvectors of the covariance of queries (for K) or of values
 * (for V), clamped to the .96 (K) or .92 (V) quantile of its magnitudes, then asymmetric integers a token and
 * head. x̂ = ŷ·(U·H_d)ᵀ: folded into the query and into the output. Bits: b + 32/d.
 *
 * The quantile is that of a normal number times the root mean square of the token; see `clip`.
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

/** Quantiles .96 and .92 of the magnitude of a normal number. */
const CLIPS = { k: 2.0537, v: 1.7507 } as const;

/** Rotated, clipped, coded; `basis` is U of calibration (`linear`). */
export const oscar = (side: keyof typeof CLIPS, bits: Bits = 2, basis?: Factored): Codec => {
  const integers = quantize({ bits, per: "token", range: "asymmetric" });
  const turned = pipe(
    hadamard(),
    on("values", pipe(clip(CLIPS[side]), on("values", integers))),
  );
  return basis === undefined ? turned : pipe(basis, on("values", turned));
};
