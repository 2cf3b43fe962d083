/**
 * DecoQuant (arXiv 2405.12591): X = T_L · T_S by a matrix product operator of two sites; the large
 * tensor is quantized, the small one stays in f16. X̂ − X = E · T_S: the error is coloured anew.
 *
 * Variant B (the KV-cache code, K after RoPE): rows are the 16-channel blocks of all tokens and heads,
 * T_L = M V Σ^(−1/2) seen as [L, D] with one scale a token, T_S = Σ^(1/2) Vᵀ [16, 16] shared by all.
 * Bits: b + 16/D + 16·256/(L·D), so b + 16/D in the limit.
 *
 * Variant A (the language-model scripts, K before RoPE): SVD of Xᵀ, T_L [D, r] with one scale a channel,
 * T_S [r, L] in f16, stored as [L, r]; r = min(D, L), and D where L is not known.
 * Bits: b·r/L + 16·r/D + 16/L. T_S grows with the context: at r = D it alone costs 16 bits a value.
 *
 * Streaming: factors belong to the prompt. New tokens wait in full precision for a chunk of their own.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, f16, joinHeads, on } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { mpo } from "../decompose/mpo.ts";
import { quantize } from "../quantize/affine.ts";

/** A row of the large tensor has one scale: a token in variant B, a channel in variant A. */
const large = (bits: Bits) => on("large", quantize({ bits, per: "token", range: "symmetric" }));

/**
 * Variant B of one matrix, weights or activations [rows, columns]: blocks of `inner` columns, one scale a row.
 * Bits: b + 16/n + 16·inner²/(o·n) of n columns and o rows.
 */
export const decoquantRows = (bits: Bits, inner = 16): Codec =>
  pipe(mpo({ inner }), large(bits), on("small", f16));

/** Variant B: blocks of `inner` channels; takes `[heads, tokens, channels]`. */
export const decoquantB = (bits: Bits, inner = 16): Codec => joinHeads(decoquantRows(bits, inner));

/** Variant A: all channels at one site, all tokens at the other; takes `[heads, tokens, channels]`. */
export const decoquantA = (bits: Bits): Codec =>
  joinHeads(pipe(mpo({ inner: 1, tokens: 1 }), large(bits), on("small", f16)));
