/**
 * KIVI (arXiv 2402.02750): keys per channel, values per token, as each has its outliers.
 *
 * K: groups of g consecutive tokens of one channel; V: groups of g consecutive channels of one token.
 * Both asymmetric: m = h(min), s = h((max − min) / (2^b − 1)), x̂ = s·clamp(rint((x − m) / s)) + m.
 * Bits: b + 32/g, for g = 32 one more than b.
 *
 * Streaming: the newest tokens of both are held in f16 until there are `residual` of them, as the paper holds
 * those of K. (It moves V out one token at a time; here V goes with K, so that both are one stream.)
 * Calibration: none.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { window } from "../codec/window.ts";
import { quantize } from "../quantize/affine.ts";

/** A codec for keys and one for values. */
export interface KeysAndValues {
  /** Of the keys, after RoPE. */
  readonly k: Codec;
  /** Of the values. */
  readonly v: Codec;
}

/** Keys in groups of tokens, values in groups of channels, both behind a tail in f16. */
export const kivi = (bits: Bits, group = 32, residual = 128): KeysAndValues => {
  const behind = (codec: Codec): Codec => window({ group: residual }, codec);
  return {
    k: behind(quantize({ bits, per: { tokens: group }, range: "asymmetric" })),
    v: behind(quantize({ bits, per: group, range: "asymmetric" })),
  };
};
