/**
 * PolarQuant (arXiv 2502.02617): y = x·D·H with random signs, then 16 values of y as one radius (f16) and 15
 * directions of four levels: 8 of 4 bits on the whole circle, 4 + 2 + 1 of 2 bits in its first quadrant.
 * ŷ = radius · Π point[code], x̂ = ŷ·(D·H)ᵀ.
 *
 * Bits: (8·4 + 7·2 + 16) / 16 = 3.875, and 4 where codes of 2 bits do not fill their last word (28 of 64
 * channels take two words). The norm of the rotation's 16 values is their radius; nothing else is scaled.
 * Streaming: every token is coded alone. Calibration: none; the angles are those of normal numbers.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, f16, type Factored, on } from "../codec/codec.ts";
import { together } from "../codec/together.ts";
import { directionOf, polar } from "../decompose/polar.ts";
import { rotate } from "../decompose/rotate.ts";
import { circle, quadrant } from "../quantize/angles.ts";
import { pairs } from "../quantize/grid.ts";

const LEVELS = 4;

/** Rotated tokens in polar coordinates. */
export const polarquant: Codec = together(pipe(
  rotate(),
  on(
    "values",
    Array.from({ length: LEVELS }, (_, i) => i + 1).reduce<Factored>(
      (codec, level) => {
        const points = level === 1 ? circle(4) : quadrant(2, level);
        return on(directionOf(level), pairs({ points, scale: "none", of: "neighbours" }))(codec);
      },
      pipe(polar({ levels: LEVELS }), on("radius", f16)),
    ),
  ),
));
