/**
 * The schemes by name. A scheme that is listed has its bits, its bound and its attention tested.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { BITS, type Bits } from "../core/dtype.ts";
import { decoquantA, decoquantB } from "./decoquant.ts";
import { eoptshrink } from "./eoptshrink.ts";
import { fp8, mxfp4, nvfp4 } from "./floats.ts";
import { q4_0, q4_1, q8_0 } from "./ggml.ts";
import { gear } from "./gear.ts";
import { higgs } from "./higgs.ts";
import { kvarn } from "./kvarn.ts";
import { kvquant } from "./kvquant.ts";
import { lathe } from "./lathe.ts";
import { nf4Grouped } from "./nf4.ts";
import { oscar } from "./oscar.ts";
import { polarquant } from "./polarquant.ts";
import { qjl } from "./qjl.ts";
import { quarot } from "./quarot.ts";
import { rtn, rtnGrouped } from "./rtn.ts";
import { smoothed } from "./smoothed.ts";
import { svdq } from "./svdq.ts";
import { turboquant } from "./turboquant.ts";

/** Schemes as functions of the bits of their codes; all store `[heads, tokens, channels]`. */
export const SCHEMES = {
  rtn,
  rtnGrouped,
  decoquantA,
  decoquantB,
  quarot: (bits: Bits): Codec => quarot(bits),
  turboquant: (bits: Bits): Codec => turboquant(bits),
  lathe,
  gear: (bits: Bits): Codec => gear(bits),
  eoptshrink: (bits: Bits): Codec => eoptshrink(bits),
  kvquant,
  kvarn: (bits: Bits): Codec => kvarn(bits),
  smoothed: (bits: Bits): Codec => smoothed(bits),
} as const satisfies Readonly<Record<string, (bits: Bits) => Codec>>;

/** Name of a scheme. */
export type SchemeName = keyof typeof SCHEMES;

/** A symmetric range needs a level beside 0; centroids of N(0, 1) are known up to 4 bits. */
const [SYMMETRIC, CENTROIDS]: readonly (readonly Bits[])[] = [[2, 3, 4, 8], [1, 2, 3, 4]];

/** The bits that each scheme takes; others are refused. */
export const WIDTHS: Readonly<Record<SchemeName, readonly Bits[]>> = {
  rtn: SYMMETRIC,
  rtnGrouped: BITS,
  decoquantA: SYMMETRIC,
  decoquantB: SYMMETRIC,
  quarot: BITS,
  turboquant: CENTROIDS,
  lathe: CENTROIDS,
  gear: [2, 4],
  eoptshrink: [2],
  kvquant: [2, 3, 4],
  kvarn: [2, 4],
  smoothed: SYMMETRIC,
};

/** Formats whose bits are fixed. */
export const FORMATS = {
  q4_0,
  q4_1,
  q8_0,
  nf4: nf4Grouped(32),
  e4m3: fp8("e4m3"),
  e5m2: fp8("e5m2"),
  mxfp4: mxfp4(),
  nvfp4,
  higgs,
  qjl,
  polarquant,
  oscarK: oscar("k"),
  oscarV: oscar("v"),
  svdq: svdq(),
} as const satisfies Readonly<Record<string, Codec>>;
