/**
 * Round to nearest: the baselines every other scheme has to beat.
 *
 * rtn: symmetric, one scale a token over all heads, as the paper of DecoQuant (arXiv 2405.12591) and
 * SmoothQuant (arXiv 2211.10438) use it: s = max|x| / (2^(b−1) − 1), x̂ = s·rint(x / s). At 2 bits the
 * codes are {−1, 0, 1}, at 3 bits −3 … 3; 1 bit leaves only 0 and is refused.
 * Bits: b + 16/D, D = heads × channels.
 *
 * rtnGrouped: asymmetric, one scale and minimum for g consecutive channels: m = min,
 * s = (max − min) / (2^b − 1), x̂ = s·clamp(rint((x − m) / s)) + m. Bits: b + 32/g.
 *
 * Streaming: every token is coded alone, nothing is held back.
 * @module
 */
import { type Codec, joinHeads } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { quantize } from "../quantize/affine.ts";

/** Symmetric, one scale a token over all heads; takes `[heads, tokens, channels]`. */
export const rtn = (bits: Bits): Codec =>
  joinHeads(quantize({ bits, per: "token", range: "symmetric" }));

/** Asymmetric, one scale and minimum for `group` consecutive channels. */
export const rtnGrouped = (bits: Bits, group = 64): Codec =>
  quantize({ bits, per: group, range: "asymmetric" });
