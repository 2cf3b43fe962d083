/**
 * What a codec loses of any tensor at most, known before one is given.
 * @module
 */
import { type Claim, lossOf } from "../bound/claim.ts";
import { input } from "../core/build.ts";
import type { Shape } from "../core/term.ts";
import type { Codec } from "./codec.ts";

export type { Claim } from "../bound/claim.ts";

/**
 * ‖x − decode(encode(x))‖ ≤ relative·‖x‖ + least·√tokens, in exact arithmetic, for every tensor `[heads, tokens,
 * channels]` of which no token is longer than `upTo` (tokens of all heads count); nothing where none is known.
 * Derived from the codec's term: see `dsl/bound/claim.ts` for what it understands.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { codecClaim, turboquant } from "kvfold";
 * // A token that a rotation leaves in one channel: what is beyond the last of two levels is lost.
 * const { relative } = codecClaim(turboquant(1), { heads: 2, channels: 64 })!;
 * ok(relative > 1.19 && relative < 1.21);
 * ```
 */
export const codecClaim = (
  codec: Codec,
  { heads, channels }: { readonly heads: number; readonly channels: number },
): Claim | undefined => {
  const shape: Shape = [heads, "tokens", channels];
  const x = input("x", shape, "f32");
  return lossOf(x, codec.decode(codec.encode(x), shape));
};
