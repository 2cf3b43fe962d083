/**
 * The codes of WebAssembly's instructions, by the names that its text format gives them: those that kernels
 * are made of (WebAssembly 2.0, and relaxed SIMD from 0x100 on).
 * @module
 */

/** What stands in an instruction: nothing, a local, a function, bytes of lanes, a number, or a place in memory. */
export type Holds = "nothing" | "local" | "function" | "lanes" | "i32" | "f32" | number;

const SIMD = 0xfd;
const SATURATING = 0xfc;

/** An instruction's code and what follows it. */
export interface Code {
  /** The code as it is written: behind its prefix where it has one, in seven bits a byte. */
  readonly bytes: readonly number[];
  /** A number is the power of two that an address is a multiple of. */
  readonly holds: Holds;
}

const written = (prefix: number, code: number): readonly number[] =>
  prefix === 0 ? [code] : code < 128 ? [prefix, code] : [prefix, code & 127 | 128, code >> 7];

/** Codes by name. */
export const CODES: ReadonlyMap<string, Code> = new Map(
  ([
    // prefix, first code, what it holds, the type's name, then names in the order of their codes
    [0, 0x10, "function", "", "call"],
    [0, 0x1b, "nothing", "", "select"],
    [0, 0x20, "local", "local.", "get set tee"],
    [0, 0x28, 2, "i32.", "load"],
    [0, 0x2a, 2, "f32.", "load"],
    [0, 0x36, 2, "i32.", "store"],
    [0, 0x38, 2, "f32.", "store"],
    [0, 0x41, "i32", "i32.", "const"],
    [0, 0x43, "f32", "f32.", "const"],
    [0, 0x45, "nothing", "i32.", "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"],
    [0, 0x5b, "nothing", "f32.", "eq ne lt gt le ge"],
    [0, 0x69, "nothing", "i32.", "popcnt add sub mul div_s div_u rem_s rem_u and or xor"],
    [0, 0x74, "nothing", "i32.", "shl shr_s shr_u"],
    [0, 0x8b, "nothing", "f32.", "abs neg ceil floor trunc nearest sqrt add sub mul div"],
    [0, 0xb2, "nothing", "f32.", "convert_i32_s convert_i32_u"],
    [0, 0xbc, "nothing", "i32.", "reinterpret_f32"],
    [0, 0xbe, "nothing", "f32.", "reinterpret_i32"],
    [SATURATING, 0x00, "nothing", "i32.", "trunc_sat_f32_s trunc_sat_f32_u"],
    [SIMD, 0x00, 4, "v128.", "load"],
    [SIMD, 0x03, 3, "v128.", "load16x4_s load16x4_u"],
    [SIMD, 0x09, 2, "v128.", "load32_splat"],
    [SIMD, 0x0b, 4, "v128.", "store"],
    [SIMD, 0x0d, "lanes", "i8x16.", "shuffle"],
    [SIMD, 0x0f, "nothing", "i8x16.", "splat"],
    [SIMD, 0x10, "nothing", "i16x8.", "splat"],
    [SIMD, 0x11, "nothing", "i32x4.", "splat"],
    [SIMD, 0x13, "nothing", "f32x4.", "splat"],
    [SIMD, 0x18, "lanes", "i16x8.", "extract_lane_s extract_lane_u replace_lane"],
    [SIMD, 0x1b, "lanes", "i32x4.", "extract_lane replace_lane"],
    [SIMD, 0x1f, "lanes", "f32x4.", "extract_lane replace_lane"],
    [SIMD, 0x2d, "nothing", "i16x8.", "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"],
    [SIMD, 0x37, "nothing", "i32x4.", "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"],
    [SIMD, 0x41, "nothing", "f32x4.", "eq ne lt gt le ge"],
    [SIMD, 0x4d, "nothing", "v128.", "not and andnot or xor"],
    [SIMD, 0x5d, 3, "v128.", "load64_zero"],
    [SIMD, 0x65, "nothing", "i8x16.", "narrow_i16x8_s narrow_i16x8_u"],
    [SIMD, 0x67, "nothing", "f32x4.", "ceil floor trunc nearest"],
    [SIMD, 0x6e, "nothing", "i8x16.", "add add_sat_s add_sat_u sub"],
    [SIMD, 0x76, "nothing", "i8x16.", "min_s min_u max_s max_u"],
    [SIMD, 0x7e, "nothing", "i32x4.", "extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u"],
    [SIMD, 0x80, "nothing", "i16x8.", "abs neg"],
    [SIMD, 0x85, "nothing", "i16x8.", "narrow_i32x4_s narrow_i32x4_u"],
    [SIMD, 0x87, "nothing", "i16x8.", "extend_low_i8x16_s extend_high_i8x16_s"],
    [SIMD, 0x89, "nothing", "i16x8.", "extend_low_i8x16_u extend_high_i8x16_u"],
    [SIMD, 0x8b, "nothing", "i16x8.", "shl shr_s shr_u add add_sat_s add_sat_u sub"],
    [SIMD, 0x95, "nothing", "i16x8.", "mul min_s min_u max_s max_u"],
    [SIMD, 0xa0, "nothing", "i32x4.", "abs neg"],
    [SIMD, 0xa7, "nothing", "i32x4.", "extend_low_i16x8_s extend_high_i16x8_s"],
    [SIMD, 0xa9, "nothing", "i32x4.", "extend_low_i16x8_u extend_high_i16x8_u"],
    [SIMD, 0xab, "nothing", "i32x4.", "shl shr_s shr_u add"],
    [SIMD, 0xb1, "nothing", "i32x4.", "sub"],
    [SIMD, 0xb5, "nothing", "i32x4.", "mul min_s min_u max_s max_u dot_i16x8_s"],
    [SIMD, 0xe0, "nothing", "f32x4.", "abs neg"],
    [SIMD, 0xe3, "nothing", "f32x4.", "sqrt add sub mul div min max pmin pmax"],
    [SIMD, 0xf8, "nothing", "i32x4.", "trunc_sat_f32x4_s trunc_sat_f32x4_u"],
    [SIMD, 0xfa, "nothing", "f32x4.", "convert_i32x4_s convert_i32x4_u"],
    [SIMD, 0x100, "nothing", "i8x16.", "relaxed_swizzle"],
    [SIMD, 0x101, "nothing", "i32x4.", "relaxed_trunc_f32x4_s relaxed_trunc_f32x4_u"],
    [SIMD, 0x105, "nothing", "f32x4.", "relaxed_madd"],
    [SIMD, 0x10b, "nothing", "i32x4.", "relaxed_laneselect"],
    [SIMD, 0x112, "nothing", "i16x8.", "relaxed_dot_i8x16_i7x16_s"],
  ] satisfies [number, number, Holds, string, string][]).flatMap(
    ([prefix, first, holds, type, names]) =>
      names.split(" ").map((name, k): [string, Code] => [
        type + name,
        { bytes: written(prefix, first + k), holds },
      ]),
  ),
);
