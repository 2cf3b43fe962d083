/**
 * Lathe, a scheme of this project: centre the work, turn it, cut it to size.
 *
 * μ = mean over tokens of each channel (f16), r = x − μ, y = r·D·H / γ with random signs D and γ = ‖r‖ / √d,
 * c the nearest Lloyd–Max centroid of N(0, 1) to y, x̂ = μ + γ'·centroid[c]·(D·H)ᵀ with γ' (f16) such that
 * the norm of r is kept. Keys have channels that are far from 0 for every token; a rotation alone spreads
 * them over all channels, where they take up levels. Here they cost no bits: q·μ is one number a row, and
 * the μ of V is added once to the output. Bits: b + 16/d, and 16/L for μ.
 *
 * Keys after RoPE have a mean for every place: with `rope` μ is that of keys before they were turned, and is
 * turned as they are. One mean for all places is more than half of what keys of 2 bits lose.
 *
 * Streaming: μ is that of the prompt; every later token is coded alone against it. Calibration: none.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { center } from "../decompose/center.ts";
import { preRope, type Rope } from "../decompose/pre_rope.ts";
import { turboquant } from "./turboquant.ts";

/** What is left of tokens after their mean, rotated, at 1 to 4 bits; of keys, what `rope` says of them. */
export const lathe = (bits: Bits, { rope }: { readonly rope?: Rope } = {}): Codec =>
  pipe(
    center(rope === undefined ? {} : { within: preRope(rope) }),
    on("values", turboquant(bits, { keepNorm: true })),
  );
