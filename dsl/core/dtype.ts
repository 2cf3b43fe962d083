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

/** Floats of 8 bits, of the OCP formats: with a sign, and a power of two alone. */
export type Float8 = "e4m3" | "e5m2" | "e8m0";

/** Floats that are stored in fewer bits than f32. */
export type StoredFloat = "f16" | Float8;

/** Names of the element types of a term. */
export type DType = "f32" | StoredFloat | "u32" | Packed | Fixed;

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
  e4m3: { bits: 8, integer: false, min: -448, max: 448 },
  e5m2: { bits: 8, integer: false, min: -57344, max: 57344 },
  // Powers of two; what f32 holds as normal numbers, so that no device makes it 0.
  e8m0: { bits: 8, integer: false, min: 2 ** -126, max: 2 ** 127 },
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

/** A float that is stored in fewer bits than f32: bits of the fraction, and the exponent of the smallest normal number. */
export interface FloatFormat {
  /** Bits of the fraction. */
  readonly fraction: number;
  /** Exponent of the smallest normal number. */
  readonly least: number;
}

/** One row a stored float. */
export const FLOATS: Readonly<Record<StoredFloat, FloatFormat>> = {
  f16: { fraction: 10, least: -14 },
  e4m3: { fraction: 3, least: -6 },
  e5m2: { fraction: 2, least: -14 },
  e8m0: { fraction: 0, least: -126 },
};

/** Is the dtype a float that is stored in fewer bits than f32? */
export const isFloat = (dtype: DType): dtype is StoredFloat => dtype in FLOATS;

/** Is it one of 8 bits? */
export const isFloat8 = (dtype: DType): dtype is Float8 => isFloat(dtype) && dtype !== "f16";

/** The codes that words hold: those of the dtype, or the bytes of its floats. */
export const codesIn = (dtype: DType): Packed | undefined =>
  isPacked(dtype) ? dtype : isFloat8(dtype) ? "u8" : undefined;

/** Rounds half to even, as every device does. */
export const rint = (x: number): number => {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
};

/** The largest power of two that is not above |x|; 0 for 0. */
export const binadeOf = (x: number): number => {
  const a = Math.abs(x);
  if (a === 0 || !Number.isFinite(a)) return a;
  const power = 2 ** Math.floor(Math.log2(a));
  // The logarithm of a number just beside a power of two may be that of the power.
  return power > a ? power / 2 : 2 * power <= a ? 2 * power : power;
};

/** Nearest value of a stored float, half to even; finite values beyond the range saturate, NaN stays NaN. */
export const roundFloat = (dtype: StoredFloat, x: number): number => {
  const { min, max } = DTYPES[dtype];
  if (Number.isNaN(x) || (x === 0 && min < 0)) return x;
  const { fraction, least } = FLOATS[dtype];
  const a = Math.max(Math.min(Math.abs(x), max), min);
  // Steps are those of the power of two below, and never below the subnormal one.
  const step = Math.max(binadeOf(a), 2 ** least) * 2 ** -fraction;
  const rounded = Math.min(rint(a / step) * step, max);
  return x < 0 ? Math.max(-rounded, min) : rounded;
};

/** Nearest f16; see {@link roundFloat}. */
export const roundF16 = (x: number): number => roundFloat("f16", x);

/**
 * The value a dtype stores for x: rounding half to even, saturating.
 * f32 and fixed-point numbers are the identity: they are a device's arithmetic, not part of a program's meaning, and
 * what they cost is in `dsl/read/rounding.ts`.
 */
export const castTo = (dtype: DType, x: number): number => {
  if (dtype === "f32" || isFixedPoint(dtype)) return x;
  if (isFloat(dtype)) return roundFloat(dtype, x);
  if (Number.isNaN(x)) return x;
  return Math.min(Math.max(rint(x), DTYPES[dtype].min), DTYPES[dtype].max);
};
