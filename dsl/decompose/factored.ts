/**
 * What all decompositions share. A decode that is a sum of products, linear in each part, moves by at
 * most the same sum over magnitudes:
 *
 * ```text
 * x̂ = Σ a·b·c      stretch(b, e) = Σ |a|·e·|c|      |x̂(b + Δ) − x̂(b)| ≤ stretch(b, e) where |Δ| ≤ e
 * ```
 * @module
 */
import { map } from "../core/build.ts";
import type { Factored, Parts } from "../codec/codec.ts";

/** A decomposition before its error is described. */
export interface Decomposition {
  readonly name: string;
  /** Does decode(encode(x)) leave something of x out? */
  readonly truncated: boolean;
  readonly encode: Factored["encode"];
  readonly decode: Factored["decode"];
  readonly partShapes: Factored["partShapes"];
}

const magnitudes = (parts: Parts): Parts =>
  Object.fromEntries(Object.entries(parts).map(([name, term]) => [name, map("abs", term)]));

/** The codec of a decomposition whose decode is a sum of products of its parts. */
export const factored = (decomposition: Decomposition): Factored => {
  const { name, encode, decode, partShapes, truncated } = decomposition;
  return {
    name,
    encode,
    decode,
    partShapes,
    stretch: (part, error, parts, shape, batch) =>
      decode({ ...magnitudes(parts), [part]: error }, shape, batch),
    // What a truncation leaves out is known only by looking.
    bound: (x, parts, batch) =>
      truncated ? map("abs", map("sub", x, decode(parts, x.shape, batch))) : map("mul", x, 0),
  };
};
