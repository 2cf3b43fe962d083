/**
 * A magnitude that is divided by, held where it and its inverse are normal numbers of f32: a quotient by it is
 * a product with its inverse in all arithmetic, and it is never 0.
 *
 * Before: `max |x|`, 0 … 2^128; after: 2^-126 … 2^126. What is divided by it stays below 4, and zeros are zeros.
 * @module
 */
import { map } from "./build.ts";
import type { Term } from "./term.ts";

/** The ends. */
export const HELD = [2 ** -126, 2 ** 126] as const;

/** The magnitude between {@link HELD}. */
export const held = (magnitude: Term): Term => map("min", map("max", magnitude, HELD[0]), HELD[1]);
