/**
 * KIVI (arXiv 2402.02750): keys per channel, values per token, as each has its outliers.
 *
 * K: groups of g consecutive tokens of one channel; V: groups of g consecutive channels of one token.
 * Both asymmetric: m = h(min), s = h((max − min) / (2^b − 1)), x̂ = s·clamp(rint((x − m) / s)) + m.
 * Bits: b + 32/g, for g = 32 one more than b.
 *
 * Streaming: the paper keeps the newest tokens of K in full precision until a group is full, and the newest
 * of V. No codec of this language holds such a tail yet: the number of tokens has to be known and a multiple
 * of g, so this is the cache of a prompt whose tail is elsewhere. Calibration: none.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { quantize } from "../quantize/affine.ts";

/** A codec for keys and one for values. */
export interface KeysAndValues {
  /** Of the keys, after RoPE. */
  readonly k: Codec;
  /** Of the values. */
  readonly v: Codec;
}

/** Keys in groups of tokens, values in groups of channels. */
export const kivi = (bits: Bits, group = 32): KeysAndValues => ({
  k: quantize({ bits, per: { tokens: group }, range: "asymmetric" }),
  v: quantize({ bits, per: group, range: "asymmetric" }),
});
