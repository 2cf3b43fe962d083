/**
 * SVDq (arXiv 2502.15304) for keys: principal axes of each head, coefficients by fewer bits the smaller they
 * are: 4 bits for an eighth of the axes, 2 for a quarter, 1 for a half, none for the rest. One scale and
 * minimum an axis, over all tokens. Bits: 4/8 + 2/4 + 1/2 = 1.5, and 16·(7/8)·d/L for the axes, 32·(7/8)/L for
 * scales. The paper's 1.25 would leave rows of codes that fill no words, which takes as much.
 *
 * The paper allots bits by singular values of the prompt; an allotment that depends on data is no shape.
 * Streaming: axes and ranges are those of the prompt. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, f16, on, perHead } from "../codec/codec.ts";
import { split } from "../codec/split.ts";
import { pca } from "../decompose/pca.ts";
import { quantize } from "../quantize/affine.ts";

/** 1.5 bits a value of heads of so many channels. */
export const svdq = (channels = 64): Codec => {
  const sizes = [8, 4, 2].map((share) => channels / share);
  const codecs = ([4, 2, 1] as const).map((bits) =>
    quantize({ bits, per: "channel", range: "asymmetric" })
  );
  return perHead(pipe(
    pca({ rank: sizes.reduce((n, size) => n + size, 0) }),
    on("coefficients", split(sizes, codecs)),
    on("basis", f16),
  ));
};
