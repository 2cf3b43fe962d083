/**
 * Laws of memory: packing loses nothing, and words are as many as are counted.
 * @module
 */
import { DTYPES, type Packed, roundF16 } from "../../dsl/core/dtype.ts";
import {
  f16Bits,
  f16Value,
  packWords,
  storedBits,
  storedWords,
  unpackWords,
} from "../../dsl/core/layout.ts";

/** unpack(pack(codes)) = codes, in as many words as the layout says. */
export const packLaw = (dtype: Packed, row: number, codes: readonly number[]): boolean => {
  const words = packWords(dtype, row, codes);
  const back = unpackWords(dtype, row, words, codes.length);
  return words.length === storedWords(dtype, [codes.length / row, row], {}) &&
    codes.every((c, i) => back[i] === c);
};

/** A row whose planes fill whole words takes the bits of its codes. */
export const exactLaw = (dtype: Packed, row: number): boolean =>
  storedBits(dtype, [3, row], {}, true) === 3 * row * DTYPES[dtype].bits;

/** The bits of an f16 mean what the platform says they mean, and come back. */
export const f16BitsLaw = (bits: number): boolean => {
  const platform = new Float16Array(Uint16Array.of(bits).buffer)[0];
  const value = f16Value(bits);
  if (Number.isNaN(platform)) return Number.isNaN(value);
  return Object.is(value, platform) && f16Bits(value) === bits;
};

/** Rounding to f16 is the platform's, but for the saturation beyond the range. */
export const f16RoundLaw = (x: number): boolean => {
  const platform = Float16Array.of(x)[0];
  const expected = Number.isFinite(platform) ? platform : Math.sign(x) * 65504;
  return Object.is(roundF16(x), expected);
};
