/**
 * KVQuant (arXiv 2401.18079) for keys: a range for each channel, levels that are not even, outliers apart:
 * x' = (x − o) / r per channel, x̂ = r·level[c] + o, and one value of each token and head in f16.
 *
 * The paper takes ranges and levels from calibration (the Fisher diagonal weighs them), of keys before RoPE:
 * `rope` says how they were turned. Here o is the mean and r the largest distance from it of a channel in the prompt, and levels are Lloyd–Max's
 * for normal numbers over their largest. Bits: b + (32 + 16)/d (a place fills a word), and 32/L for ranges.
 *
 * Streaming: ranges are those of the prompt, later tokens saturate. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import { outliers } from "../codec/outliers.ts";
import type { Bits } from "../core/dtype.ts";
import { peakOf } from "../core/gaps.ts";
import { center } from "../decompose/center.ts";
import { preRope, type Rope } from "../decompose/pre_rope.ts";
import { codebook } from "../quantize/codebook.ts";
import { lloydMax } from "../quantize/levels.ts";

/** Channels by uneven levels at 1 to 4 bits, one outlier a token; of keys before RoPE with `rope`. */
export const kvquant = (bits: Bits, { rope }: { readonly rope?: Rope } = {}): Codec => {
  const centroids = lloydMax(bits);
  const levels = centroids.map((x) => x / peakOf(centroids));
  const channels = codebook({ levels, per: "channel", scale: "absmax" });
  const coded = outliers({ count: 1 })(pipe(center(), on("values", channels)));
  return rope === undefined ? coded : pipe(preRope(rope), on("values", coded));
};
