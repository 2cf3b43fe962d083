/**
 * KVTC (arXiv 2511.01815), the transform and its bits: z = (x − μ)·V in principal axes of calibration, every
 * coordinate by as many bits as leave least of all of them (`allot.ts`), one scale and minimum a coordinate:
 * x̂ = μ + (s·c + m)·Vᵀ.
 *
 * The paper undoes RoPE (here `preRope` around this codec, as `models/calibrate.ts` has it), takes one basis for all
 * heads and layers, and packs the codes by DEFLATE for cold storage; here a basis is that of a layer, and codes
 * are read as they lie.
 * Bits: 32·words/D, and 16/L + 32·r/(D·L) for the mean and the scales. V is a table of the model.
 * Streaming: means and ranges are those of the prompt, later tokens saturate. Calibration: V and variances.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import { split } from "../codec/split.ts";
import { center } from "../decompose/center.ts";
import { type Linear, linear } from "../decompose/linear.ts";
import { quantize } from "../quantize/affine.ts";
import { type Grades, rangesOf } from "../quantize/allot.ts";

/** Coordinates of a basis by falling numbers of bits; the basis has as many as are kept. */
export const kvtc = (basis: Linear, grades: Grades): Codec => {
  const ranges = rangesOf(grades);
  const codecs = ranges.map(({ bits }) => quantize({ bits, per: "channel", range: "asymmetric" }));
  const coded = split(ranges.map(({ size }) => size), codecs);
  return pipe(center(), on("values", pipe(linear(basis), on("values", coded))));
};
