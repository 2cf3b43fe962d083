/**
 * HIGGS (arXiv 2411.17525): y = x·D·H / γ with random signs, pairs of y by the nearest of 16 points of a
 * plane, x̂ = γ·point·(D·H)ᵀ, γ = ‖x‖ / √d in f16. Bits: 2 + 16/d.
 *
 * The paper's groups of 1024 values are one token of a head here; a pair is two channels half a token apart,
 * which a rotation makes as good as neighbours.
 * Streaming: every token is coded alone. Calibration: none; the grid is that of normal numbers.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import { rotate } from "../decompose/rotate.ts";
import { pairs } from "../quantize/grid.ts";

/** Rotated pairs, two bits a value. */
export const higgs: Codec = pipe(rotate(), on("values", pairs()));
