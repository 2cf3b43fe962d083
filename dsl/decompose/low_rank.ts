/**
 * The largest principal axes of each head alone, in halves: x ≈ c Bᵀ with r coefficients a token.
 *
 * ```text
 * residual(lowRank(4), quantize(2))      four directions exactly, the rest by codes
 * residual(quantize(2), lowRank(4))      codes, and four directions of what they leave
 * ```
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, f16, on, perHead } from "../codec/codec.ts";
import { pca } from "./pca.ts";

/**
 * The largest `rank` principal axes of each head in f16: coefficients `[heads, tokens, r]` and a basis
 * `[heads, d, r]`. Beside `residual` it is a scheme: codes and four directions of what they leave.
 */
export const lowRank = (rank: number): Codec =>
  perHead(pipe(pca({ rank }), on("coefficients", f16), on("basis", f16)));
