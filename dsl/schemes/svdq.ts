/**
 * SVDq (arXiv 2502.15304) for keys: principal axes of each head, coefficients by fewer bits the smaller they
 * are, none for the last. One scale and minimum an axis, over all tokens.
 *
 * The paper allots bits by singular values of the prompt; an allotment that depends on data is no shape. Here
 * it is that of least error for variances that are given beforehand (`allot.ts`). Unless they are, the i-th is
 * 1/i, which at 64 channels and 1.5 bits gives 8 axes 4 bits, 16 axes 2 bits, 32 one bit and 8 none.
 * Bits: 32·words/d, and 16·r/L for the r axes kept, 32·r/(d·L) for their scales. The paper's 1.25 would leave
 * rows of codes that fill no words, which takes as much.
 *
 * Streaming: axes and ranges are those of the prompt. Calibration: none, or variances.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, f16, on, perHead } from "../codec/codec.ts";
import { split } from "../codec/split.ts";
import { pca } from "../decompose/pca.ts";
import { quantize } from "../quantize/affine.ts";
import { gradesOf, rangesOf } from "../quantize/allot.ts";

/** What {@link svdq} is asked for. */
export interface Svdq {
  /** Variances of the axes of a head, as many as it has channels, falling. */
  readonly variances?: readonly number[];
  /** Words of 32 bits of codes a token and head. */
  readonly words?: number;
}

/** 1.5 bits a value unless other words are asked for, of heads of as many channels as there are variances. */
export const svdq = (
  { variances = Array.from({ length: 64 }, (_, i) => 1 / (i + 1)), words }: Svdq = {},
): Codec => {
  const ranges = rangesOf(gradesOf(variances, words ?? 1.5 * variances.length / 32));
  const codecs = ranges.map(({ bits }) => quantize({ bits, per: "channel", range: "asymmetric" }));
  return perHead(pipe(
    pca({ rank: ranges.reduce((n, { size }) => n + size, 0) }),
    on("coefficients", split(ranges.map(({ size }) => size), codecs)),
    on("basis", f16),
  ));
};
