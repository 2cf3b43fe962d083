/**
 * Which decomposition? One of four, as the data of a tensor asks, all with asymmetric integers a token:
 *
 * ```text
 * none       x                                                      b + 32/d bits
 * DecoQuant  x = T_L·T_S (arXiv 2405.12591), codes of T_L           b + 32/D, and 16·256/(L·D) for T_S
 * SVD        x ≈ U Σ^½ · Σ^½ Vᵀ of half the rank a head, codes of   (b + 32/r)·r/d, and 16·r/L for the right
 *            the left; by its Gram matrix, so it streams            one: wins where rank is low
 * QR         x = q·r a head, codes of q                             b + 32/d, and 16·d/L for r
 * ```
 *
 * d channels of one head, D of all, r = d/2. The rule unless another is given: least error of those within
 * b + 0.55 bits, which QR keeps to from some ten thousand tokens on. One word more says which.
 *
 * Streaming: the choice is the prompt's, and so are T_S and the right factor, against which later tokens are
 * encoded; QR needs all tokens at once. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Adaptive, adaptive, type Rule } from "../codec/adaptive.ts";
import { type Codec, f16, joinHeads, on, perHead } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { mpo } from "../decompose/mpo.ts";
import { qr } from "../decompose/qr.ts";
import { quantize } from "../quantize/affine.ts";

/** Four candidates for heads of so many channels, and a rule. */
export const decomposed = (
  bits: Bits,
  channels = 64,
  rule: Rule = { bits: bits + 0.55 },
): Adaptive => {
  const codes: Codec = quantize({ bits, per: "token", range: "asymmetric" });
  const chain = [on("large", codes), on("small", f16)] as const;
  return adaptive([
    codes,
    joinHeads(pipe(mpo({ inner: 16 }), ...chain)),
    perHead(pipe(mpo({ channels: [1, channels], ranks: [channels / 2] }), ...chain)),
    perHead(pipe(qr(), on("q", codes), on("r", f16))),
  ], rule);
};
