/**
 * How values lie in memory, in 32-bit words, the same on every device.
 *
 * f32, u32: one word a value. f16: two values a word, low half first; the whole tensor is padded to
 * a word. Packed codes of b bits: every row (last axis) is cut into blocks of W bytes (W = 16, 8 or 4,
 * the widest that divides the row); byte i of a block holds code i in its low bits, then i + W, i + 2W, …
 *
 * ```text
 * u4, W = 16 (32 codes):  byte 0 = c16 c0 | byte 1 = c17 c1 | … | byte 15 = c31 c15
 * u2, W = 16 (64 codes):  byte 0 = c48 c32 c16 c0 | …
 * ```
 *
 * So a vector load, one shift and one mask give W codes in channel order, on a CPU and on a GPU.
 * A row that fills no whole word is padded, and the padding is counted in the bits.
 * @module
 */
import { type DType, DTYPES, isPacked, type Packed } from "./dtype.ts";
import { countOf, sizeOf, type Sizes } from "./shape.ts";
import type { Shape } from "./term.ts";

/** Blocks of one packed row. */
export interface Blocks {
  /** Bytes of a block: 16, 8 or 4. */
  readonly width: number;
  /** Codes in a byte. */
  readonly per: number;
  /** Codes of a block: width × per. */
  readonly codes: number;
  /** Blocks of a row. */
  readonly count: number;
  /** Words of a row. */
  readonly words: number;
}

/** The blocks of a row of n codes. */
export const blocksOf = (dtype: Packed, n: number): Blocks => {
  const per = 8 / DTYPES[dtype].bits;
  const width = n % (16 * per) === 0 ? 16 : n % (8 * per) === 0 ? 8 : 4;
  const codes = width * per;
  const count = Math.ceil(n / codes);
  return { width, per, codes, count, words: count * width / 4 };
};

/** Where code `at` of a row lies: byte within the row, and shift within the byte. */
export const placeOf = (dtype: Packed, n: number, at: number): { byte: number; shift: number } => {
  const { width, codes } = blocksOf(dtype, n);
  const inside = at % codes;
  return {
    byte: Math.floor(at / codes) * width + inside % width,
    shift: Math.floor(inside / width) * DTYPES[dtype].bits,
  };
};

const rowOf = (shape: Shape, sizes: Sizes): number =>
  shape.length === 0 ? 1 : sizeOf(shape[shape.length - 1], sizes);

/** Words a tensor takes. */
export const storedWords = (dtype: DType, shape: Shape, sizes: Sizes): number => {
  const count = countOf(shape, sizes);
  if (dtype === "f16") return Math.ceil(count / 2);
  if (!isPacked(dtype)) return count;
  const row = rowOf(shape, sizes);
  return row === 0 ? 0 : count / row * blocksOf(dtype, row).words;
};

/** Bytes a tensor takes. */
export const storedBytes = (dtype: DType, shape: Shape, sizes: Sizes): number =>
  4 * storedWords(dtype, shape, sizes);

/** Bits a tensor takes; without `exact`, an f16 tensor is not rounded up to a word (the limit of many). */
export const storedBits = (dtype: DType, shape: Shape, sizes: Sizes, exact: boolean): number =>
  dtype === "f16" && !exact ? 16 * countOf(shape, sizes) : 32 * storedWords(dtype, shape, sizes);

/** Codes of a tensor as words: the reference of every device's packing. */
export const packWords = (dtype: Packed, row: number, codes: ArrayLike<number>): Uint32Array => {
  const { words } = blocksOf(dtype, row);
  const bytes = new Uint8Array(4 * words * Math.ceil(codes.length / row));
  for (let i = 0; i < codes.length; i++) {
    const { byte, shift } = placeOf(dtype, row, i % row);
    bytes[Math.floor(i / row) * words * 4 + byte] |= codes[i] << shift;
  }
  return new Uint32Array(bytes.buffer);
};

/** The codes behind words: inverse of {@link packWords}. */
export const unpackWords = (
  dtype: Packed,
  row: number,
  words: Uint32Array,
  count: number,
): Float64Array => {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  const stride = 4 * blocksOf(dtype, row).words;
  return Float64Array.from({ length: count }, (_, i) => {
    const { byte, shift } = placeOf(dtype, row, i % row);
    return (bytes[Math.floor(i / row) * stride + byte] >> shift) & DTYPES[dtype].max;
  });
};

/** Bits of an f16 that is exactly representable. */
export const f16Bits = (x: number): number => {
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0;
  const a = Math.abs(x);
  if (Number.isNaN(x)) return 0x7e00;
  if (a > 65504) return sign | 0x7c00;
  if (a < 2 ** -14) return sign | Math.round(a * 2 ** 24);
  let e = Math.floor(Math.log2(a));
  if (2 ** e > a) e--;
  return sign | (e + 15) << 10 | Math.round((a / 2 ** e - 1) * 1024);
};

/** The value of f16 bits. */
export const f16Value = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const [e, m] = [bits >> 10 & 31, bits & 1023];
  if (e === 31) return m === 0 ? sign * Infinity : NaN;
  return sign * (e === 0 ? m * 2 ** -24 : (1 + m / 1024) * 2 ** (e - 15));
};
