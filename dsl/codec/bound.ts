/**
 * The bound of a codec, derived from its composition: a codec's author writes none.
 * @module
 */
import { map } from "../core/build.ts";
import type { Term } from "../core/term.ts";
import { boundOf, normBoundOf } from "../bound/bound.ts";
import { idealOf, type Known, parametersOf } from "../bound/ideal.ts";
import { normOver } from "../bound/norm.ts";
import type { Machine } from "../read/machine.ts";
import { asStored, behind, belowRoutines } from "./as_stored.ts";
import type { Codec, Parts } from "./codec.ts";

/** What a bound of a codec is asked for. */
export interface CodecBound {
  /** Leading axes that are independent, as the codec was given them. */
  readonly batch?: number;
  /** Axes along which the 2-norm is bounded, instead of every element. */
  readonly norm?: readonly number[];
  /** The arithmetic that encodes, decodes and bounds; exact if not given. */
  readonly machine?: Machine;
}

/**
 * Largest |x − decode(encode(x))| for every element (or its 2-norm along axes), over x and its stored
 * parts: what the program is from its ideal, and what the ideal (nothing rounded, scales as stored)
 * leaves of x: the clipped, the truncated, a scale too small to store.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { codecBound, evalAll, input, quantize } from "kvfold";
 * const codec = quantize({ bits: 2, per: "token", range: "asymmetric" });
 * const x = input("x", ["t", 4], "f32");
 * const parts = codec.encode(x);
 * const env = { sizes: { t: 1 }, inputs: { x: [0, 1, 2, 2.4] } };
 * const [back, bound] = evalAll([codec.decode(parts, x.shape), codecBound(codec, x, parts)], env);
 * ok(back.data.every((y, i) => Math.abs(y - env.inputs.x[i]) <= bound.data[i]));
 * ```
 */
export const codecBound = (
  codec: Codec,
  x: Term,
  parts: Parts,
  { batch = 0, norm, machine }: CodecBound = {},
): Term => {
  const { decoded, stored, exact: kept } = asStored(codec, x, parts, batch);
  const known: Known = {
    stored,
    exact: kept,
    ...(machine === undefined ? {} : { machine }),
  };
  const ideal = idealOf(decoded, known);
  const apart = map("abs", map("sub", x, ideal));
  // The ideal is computed too; scales are as they were stored.
  const exact = [
    ...[...stored.values()].flatMap((t) => [t, ...behind(t)]),
    ...parametersOf(decoded),
    ...belowRoutines(ideal),
  ];
  const left = machine === undefined
    ? apart
    : map("add", apart, boundOf(ideal, { machine, exact }));
  return norm === undefined
    ? map("add", left, boundOf(decoded, known))
    : map("add", normOver(left, norm), normBoundOf(decoded, norm, known));
};
