/**
 * The schemes by name, each as a function of the bits of its codes.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import type { Bits } from "../core/dtype.ts";
import { decoquantA, decoquantB } from "./decoquant.ts";
import { rtn, rtnGrouped } from "./rtn.ts";

/** One row a scheme; all take `[heads, tokens, channels]`. */
export const SCHEMES = {
  rtn,
  rtnGrouped,
  decoquantA,
  decoquantB,
} as const satisfies Readonly<Record<string, (bits: Bits) => Codec>>;

/** Name of a scheme. */
export type SchemeName = keyof typeof SCHEMES;
