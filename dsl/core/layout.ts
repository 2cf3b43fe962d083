/**
 * How values lie in memory, in 32-bit words, the same on every device.
 *
 * f32, u32: one word a value. f16: two values a word, low half first; the whole tensor is padded to
 * a word. Floats of 8 bits: their bytes, as codes of 8 bits. Packed codes: every row (last axis) is cut into blocks. A block holds its codes in *planes* of
 * 1, 2, 4 or 8 bits: one plane where the width is one of these, else the widths that add up to it, low
 * bits first. A plane of b bits is written in runs of W bytes (W = 16, 8 or 4); byte i of a run holds
 * code i in its low bits, then i + W, i + 2W, …
 *
 * ```text
 * u4, 32 codes:   byte 0 = c16 c0 | byte 1 = c17 c1 | … | byte 15 = c31 c15
 * u2, 64 codes:   byte 0 = c48 c32 c16 c0 | …
 * u1, 128 codes:  byte 0 = c112 … c16 c0 | …
 * u3, 128 codes:  16 bytes of the low two bits of c0 … c63 | 16 of c64 … c127, both as u2
 *                 16 bytes of the high bit of c0 … c127, as u1:    c = low + 4·high
 * u3, 64 codes:   16 bytes of low bits | 8 bytes of high bits:     byte 0 = c56 … c8 c0 | …
 * ```
 *
 * So a vector load, one shift and one mask give a plane of W codes in channel order, on a CPU and on a
 * GPU. W is 16 for a plane that fills a vector; of the narrowest plane it is the widest that divides the
 * row, and a block has the codes of one such run. A row that fills no whole word is padded, and the
 * padding is counted in the bits.
 * @module
 */
import {
  binadeOf,
  codesIn,
  type DType,
  DTYPES,
  type Float8,
  FLOATS,
  type Packed,
} from "./dtype.ts";
import { countOf, sizeOf, type Sizes } from "./shape.ts";
import type { Shape } from "./term.ts";

/** Bytes of a vector: codes that are decoded at once. */
export const VECTOR = 16;

/** Bytes of a run: a vector, or less where rows are short. */
const RUNS = [VECTOR, 8, 4] as const;

/** Bits of the codes of a block that lie together. */
export interface Plane {
  /** Bits of one code in this plane; they divide a byte. */
  readonly bits: number;
  /** Place of the lowest of them in the code. */
  readonly low: number;
  /** Byte of the block at which the plane begins. */
  readonly start: number;
  /** Bytes of a run: 16, 8 or 4. */
  readonly width: number;
}

/** Blocks of one packed row. */
export interface Blocks {
  /** Planes of a block, low bits first. */
  readonly planes: readonly Plane[];
  /** Codes of a block. */
  readonly codes: number;
  /** Words of a block. */
  readonly size: number;
  /** Blocks of a row. */
  readonly count: number;
  /** Words of a row. */
  readonly words: number;
}

/** A number as a sum of powers of two, the largest first. */
const powers = (n: number): number[] => {
  if (n === 0) return [];
  const top = 2 ** Math.floor(Math.log2(n));
  return [top, ...powers(n - top)];
};

/** Codes of one run of a plane. */
export const runOf = ({ bits, width }: Plane): number => width * 8 / bits;

/** The blocks of a row of n codes. */
export const blocksOf = (dtype: Packed, n: number): Blocks => {
  const widths = powers(DTYPES[dtype].bits);
  const narrowest = widths[widths.length - 1];
  const run = RUNS.find((w) => n % (w * 8 / narrowest) === 0) ?? RUNS[RUNS.length - 1];
  const codes = run * 8 / narrowest;
  const before = (k: number): number => widths.slice(0, k).reduce((a, b) => a + b, 0);
  const planes = widths.map((bits, k) => ({
    bits,
    low: before(k),
    start: codes * before(k) / 8,
    width: Math.min(VECTOR, codes * bits / 8),
  }));
  const size = codes * DTYPES[dtype].bits / 32;
  const count = Math.ceil(n / codes);
  return { planes, codes, size, count, words: count * size };
};

/** Are sixteen codes, from a multiple of 16 on, a vector or the halves of two in every plane? */
export const inVectors = ({ planes, codes }: Blocks): boolean =>
  codes % VECTOR === 0 && planes.every(({ width }) => 2 * width >= VECTOR);

/** Where a plane's bits of code `at` of a row lie: byte within the row, and shift within the byte. */
const placeOf = (blocks: Blocks, plane: Plane, at: number): { byte: number; shift: number } => {
  const inside = at % blocks.codes;
  const run = runOf(plane);
  const block = Math.floor(at / blocks.codes) * 4 * blocks.size;
  return {
    byte: block + plane.start + Math.floor(inside / run) * plane.width + inside % plane.width,
    shift: Math.floor(inside % run / plane.width) * plane.bits,
  };
};

const rowOf = (shape: Shape, sizes: Sizes): number =>
  shape.length === 0 ? 1 : sizeOf(shape[shape.length - 1], sizes);

/** Words a tensor takes. */
export const storedWords = (dtype: DType, shape: Shape, sizes: Sizes): number => {
  const count = countOf(shape, sizes);
  if (dtype === "f16") return Math.ceil(count / 2);
  const codes = codesIn(dtype);
  if (codes === undefined) return count;
  const row = rowOf(shape, sizes);
  return row === 0 ? 0 : count / row * blocksOf(codes, row).words;
};

/** Bytes a tensor takes. */
export const storedBytes = (dtype: DType, shape: Shape, sizes: Sizes): number =>
  4 * storedWords(dtype, shape, sizes);

/** Bits a tensor takes; without `exact`, an f16 tensor is not rounded up to a word (the limit of many). */
export const storedBits = (dtype: DType, shape: Shape, sizes: Sizes, exact: boolean): number =>
  dtype === "f16" && !exact ? 16 * countOf(shape, sizes) : 32 * storedWords(dtype, shape, sizes);

/** Codes of a tensor as words: the reference of every device's packing. */
export const packWords = (dtype: Packed, row: number, codes: ArrayLike<number>): Uint32Array => {
  const blocks = blocksOf(dtype, row);
  const stride = 4 * blocks.words;
  const bytes = new Uint8Array(stride * Math.ceil(codes.length / row));
  for (const plane of blocks.planes) {
    const mask = 2 ** plane.bits - 1;
    for (let i = 0; i < codes.length; i++) {
      const { byte, shift } = placeOf(blocks, plane, i % row);
      bytes[Math.floor(i / row) * stride + byte] |= (codes[i] >> plane.low & mask) << shift;
    }
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
  const blocks = blocksOf(dtype, row);
  const stride = 4 * blocks.words;
  const codes = new Float64Array(count);
  for (const plane of blocks.planes) {
    const mask = 2 ** plane.bits - 1;
    for (let i = 0; i < count; i++) {
      const { byte, shift } = placeOf(blocks, plane, i % row);
      codes[i] += (bytes[Math.floor(i / row) * stride + byte] >> shift & mask) << plane.low;
    }
  }
  return codes;
};

/** The byte of a float of 8 bits that is exactly representable. */
export const float8Bits = (dtype: Float8, x: number): number => {
  const { fraction, least } = FLOATS[dtype];
  const a = Math.abs(x);
  const power = Math.max(binadeOf(a), 2 ** least);
  const field = Math.log2(power) - least;
  // Below the normal numbers the field of the exponent is 0 and the step is the smallest.
  const bits = (field << fraction) + a / power * 2 ** fraction;
  return DTYPES[dtype].min > 0 ? bits : bits | (x < 0 || Object.is(x, -0) ? 0x80 : 0);
};

/** The value of the byte of a float of 8 bits. */
export const float8Value = (dtype: Float8, bits: number): number => {
  const { fraction, least } = FLOATS[dtype];
  const signed = DTYPES[dtype].min < 0;
  const field = (signed ? bits & 0x7f : bits) >> fraction;
  const part = bits & (2 ** fraction - 1);
  const size = field === 0
    ? part * 2 ** (least - fraction)
    : (2 ** fraction + part) * 2 ** (least - fraction + field - 1);
  return signed && bits & 0x80 ? -size : size;
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
