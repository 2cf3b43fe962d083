/**
 * The two 16-bit formats of weights, by arithmetic on bits: not every runtime has `Float16Array`.
 * f16 is 1 sign, 5 exponent and 10 fraction bits; bf16 is the upper half of an f32.
 * @module
 */

/** The number that an f16 stands for; exact. */
export const fromHalf = (bits: number): number => {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
};

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

/**
 * The f16 nearest to an f32; a tie goes to the even fraction, and what lies beyond the range
 * becomes an infinity. A number that is not an f32 is rounded to one first.
 */
export const toHalf = (value: number): number => {
  word[0] = value;
  const bits = wordBits[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  // 65520 lies halfway between the largest f16 and the power of two after it.
  if (size >= 0x477ff000) return sign | 0x7c00;
  // Below the smallest normal f16 the steps are even: count them. Ties go to even by hand.
  if (size < 0x38800000) {
    const steps = Math.abs(word[0]!) * 2 ** 24;
    const floor = Math.floor(steps);
    const rest = steps - floor;
    return sign | (floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0));
  }
  // Drop 13 fraction bits; a carry into the exponent is what it should be.
  const even = (size >>> 13) & 1;
  return sign | ((size - 0x38000000 + 0xfff + even) >>> 13);
};

let table: Float32Array | undefined;
const halves = (): Float32Array =>
  table ??= Float32Array.from({ length: 65536 }, (_, i) => fromHalf(i));

/** Little-endian f16 bytes as f32; exact. */
export const decodeF16 = (bytes: Uint8Array): Float32Array => {
  const of = halves();
  const out = new Float32Array(bytes.length >> 1);
  for (let i = 0; i < out.length; i++) out[i] = of[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!;
  return out;
};

/** Little-endian bf16 bytes as f32; exact. */
export const decodeBF16 = (bytes: Uint8Array): Float32Array => {
  const out = new Float32Array(bytes.length >> 1);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < bits.length; i++) {
    bits[i] = (bytes[2 * i]! << 16) | (bytes[2 * i + 1]! << 24);
  }
  return out;
};

/** Numbers as little-endian f16 bytes, each rounded once. */
export const encodeF16 = (values: Float32Array): Uint8Array => {
  const out = new Uint8Array(values.length * 2);
  for (let i = 0; i < values.length; i++) {
    const bits = toHalf(values[i]!);
    out[2 * i] = bits & 0xff;
    out[2 * i + 1] = bits >> 8;
  }
  return out;
};
