/**
 * The expected error of a codec, derived from its composition.
 * @module
 */
import { map } from "../core/build.ts";
import type { Term } from "../core/term.ts";
import { idealOf } from "../bound/ideal.ts";
import { varianceOf } from "../expected/expected.ts";
import { asStored } from "./as_stored.ts";
import type { Codec, Parts } from "./codec.ts";

/**
 * Expected (x − decode(encode(x)))² for every element, over x and its stored parts: what the ideal
 * (nothing rounded, scales as stored) leaves of x, squared, and {@link varianceOf} the roundings. A term
 * of the shape of x; shapes that the codec refuses are its own `ShapeError`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { codecVariance, evaluate, input, quantize } from "kvfold";
 * const codec = quantize({ bits: 4, per: "token", range: "asymmetric", scale: "f32" });
 * const x = input("x", ["t", 4], "f32");
 * const expected = codecVariance(codec, x, codec.encode(x));
 * const { data } = evaluate(expected, { sizes: { t: 1 }, inputs: { x: [0, 4.3, 7.2, 15] } });
 * // Steps of 1: 1/12 for what lies between, nothing for the ends of the range.
 * ok(data[0] < 1e-6 && data[3] < 1e-6);
 * ok(Math.abs(data[1] - 1 / 12) < 1e-6 && Math.abs(data[2] - 1 / 12) < 1e-6);
 * ```
 */
export const codecVariance = (codec: Codec, x: Term, parts: Parts, batch = 0): Term => {
  const { decoded, stored, exact } = asStored(codec, x, parts, batch);
  const left = map("sub", x, idealOf(decoded, { stored, exact }));
  return map("add", map("mul", left, left), varianceOf(decoded, { stored, exact }));
};
