/**
 * Element types: what a stored value is, how wide, and which reals it can hold.
 * Packed integers are dtypes like any other; how codes lie in words is decided in `dsl/core/layout.ts`.
 * @module
 */

/** Widths of packed codes: what a quantizer may ask for. */
export const BITS = [1, 2, 3, 4, 8] as const;

/** Bits of a packed code. */
export type Bits = (typeof BITS)[number];

/** Types whose codes share 32-bit words. */
export type Packed = `u${Bits}`;

/** Types of fixed-point queries and weights: they live in registers and group memory only. */
export type Fixed = "i16" | "i8";

/** Names of the element types of a term. */
export type DType = "f32" | "f16" | "u32" | Packed | Fixed;

/** What a dtype is: width in bits and, for integers, the largest code. */
export interface DTypeInfo {
  /** Width in bits. */
  readonly bits: number;
  /** Does it hold codes or indices? */
  readonly integer: boolean;
  /** Smallest value. */
  readonly min: number;
  /** Largest value. */
  readonly max: number;
}

const codes = (bits: Bits): DTypeInfo => ({ bits, integer: true, min: 0, max: 2 ** bits - 1 });

/** One row a dtype. */
export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  f32: { bits: 32, integer: false, min: -3.4028234663852886e38, max: 3.4028234663852886e38 },
  f16: { bits: 16, integer: false, min: -65504, max: 65504 },
  // Indices: every value is exact in f32, the arithmetic of devices.
  u32: { bits: 32, integer: true, min: 0, max: 2 ** 24 },
  u1: codes(1),
  u2: codes(2),
  u3: codes(3),
  u4: codes(4),
  u8: codes(8),
  i16: { bits: 16, integer: true, min: -32767, max: 32767 },
  i8: { bits: 8, integer: true, min: -127, max: 127 },
};

/** The packed dtype of a number of bits. */
export const packedOf = (bits: Bits): Packed => `u${bits}`;

/** The packed dtypes. */
export const PACKED: readonly Packed[] = BITS.map(packedOf);

/** Is the dtype stored as codes in words? */
export const isPacked = (dtype: DType): dtype is Packed => PACKED.includes(dtype as Packed);

/** Is the dtype a device's fixed-point number, never stored? */
export const isFixedPoint = (dtype: DType): dtype is Fixed => dtype === "i16" || dtype === "i8";

/** Rounds half to even, as every device does. */
export const rint = (x: number): number => {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
};

/** Nearest f16, half to even; finite values beyond the range saturate, NaN stays NaN. */
export const roundF16 = (x: number): number => {
  if (Number.isNaN(x) || x === 0) return x;
  const a = Math.min(Math.abs(x), 65504);
  // A step of f16 at a is 2^(exponent - 10), and never below the subnormal step 2^-24.
  const exponent = Math.max(Math.floor(Math.log2(a)), -14);
  const fixed = 2 ** exponent > a && exponent > -14 ? exponent - 1 : exponent;
  const step = 2 ** (Math.max(fixed, -14) - 10);
  const rounded = Math.min(rint(a / step) * step, 65504);
  return x < 0 ? -rounded : rounded;
};

/**
 * The value a dtype stores for x: rounding half to even, saturating.
 * f32 and fixed-point numbers are the identity: they are a device's arithmetic, not part of a program's meaning, and
 * what they cost is in `dsl/read/rounding.ts`.
 */
export const castTo = (dtype: DType, x: number): number => {
  if (dtype === "f32" || isFixedPoint(dtype)) return x;
  if (dtype === "f16") return roundF16(x);
  if (Number.isNaN(x)) return x;
  return Math.min(Math.max(rint(x), DTYPES[dtype].min), DTYPES[dtype].max);
};
