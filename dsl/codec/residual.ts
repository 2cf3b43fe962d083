/**
 * What a codec leaves, stored by another: x = base + rest.
 *
 * ```text
 * before: x, codes of 2 bits off by half a step      after: those, and codes of what they are off by
 * ```
 *
 * The rest is against the base as it comes back, so nothing of its error is lost, and the bound is that of
 * the rest alone. Attention multiplies each by itself: q·(base + rest) = q·base + q·rest.
 * @module
 */
import { map } from "../core/build.ts";
import { pipe } from "../../fp.ts";
import { type Codec, type Factored, ofAllTokens, on } from "./codec.ts";
import { inside, outside, prefixed } from "./parts.ts";

/** What {@link first} leaves, as it is: one part, `rest`. */
const remainder = (first: Codec): Factored => ({
  name: `residual(${first.name})`,
  encode: (x, batch) => {
    const base = first.encode(x, batch);
    return {
      ...prefixed("base", base),
      rest: map("sub", x, first.decode(base, x.shape, batch)),
    };
  },
  decode: (parts, shape, batch) =>
    map("add", first.decode(inside(parts, "base"), shape, batch), outside(parts, "base").rest),
  partShapes: (shape) => ({ rest: shape }),
});

/**
 * A codec, and another for what it leaves; without one the rest is stored as it is.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, quantize, residual } from "kvfold";
 * const two = quantize({ bits: 2, per: "token", range: "asymmetric" });
 * ok(bitsOf(residual(two, two), ["heads", "tokens", 64]) === 2 * (2 + 32 / 64));
 * ```
 */
export const residual = (first: Codec, second?: Codec): Factored =>
  second === undefined
    ? remainder(ofAllTokens("residual", first))
    : pipe(remainder(ofAllTokens("residual", first)), on("rest", second));
