/**
 * Numbers of the WebAssembly instructions that kernels use, by name: the core set, SIMD, relaxed SIMD,
 * and the few of bulk memory and threads that rigs of tests and benchmarks need.
 * @module
 */

/** What follows an instruction's number: nothing, or what its text says before its operands. */
export type Immediate =
  | "none"
  | "memory"
  | "lane"
  | "local"
  | "label"
  | "call"
  | "i32"
  | "f32"
  | "words"
  | "lanes"
  | "memories";

/** An instruction: its bytes, its immediate, and the logarithm of its alignment where it touches memory. */
export interface Opcode {
  readonly bytes: readonly number[];
  readonly immediate: Immediate;
  readonly align: number;
}

/** Instructions in a row: the first has this number, each after it the next; `_` leaves one out. */
type Run = readonly [
  prefix: number,
  first: number,
  names: string,
  immediate?: Immediate,
  align?: number,
];

const [CORE, MORE, SIMD, ATOMIC] = [0, 0xfc, 0xfd, 0xfe];

const RUNS: readonly Run[] = [
  [CORE, 0x00, "unreachable"],
  [CORE, 0x0c, "br br_if", "label"],
  [CORE, 0x10, "call", "call"],
  [CORE, 0x1a, "drop select"],
  [CORE, 0x20, "local.get local.set local.tee", "local"],
  [CORE, 0x28, "i32.load _ f32.load", "memory", 2],
  [CORE, 0x36, "i32.store _ f32.store", "memory", 2],
  [CORE, 0x41, "i32.const", "i32"],
  [CORE, 0x43, "f32.const", "f32"],
  [CORE, 0x45, "i32.eqz i32.eq i32.ne i32.lt_s i32.lt_u i32.gt_s i32.gt_u"],
  [CORE, 0x4c, "i32.le_s i32.le_u i32.ge_s i32.ge_u"],
  [CORE, 0x5b, "f32.eq f32.ne f32.lt f32.gt f32.le f32.ge"],
  [CORE, 0x67, "i32.clz i32.ctz i32.popcnt i32.add i32.sub i32.mul i32.div_s i32.div_u"],
  [CORE, 0x6f, "i32.rem_s i32.rem_u i32.and i32.or i32.xor i32.shl i32.shr_s i32.shr_u"],
  [CORE, 0x8b, "f32.abs f32.neg f32.ceil f32.floor f32.trunc f32.nearest f32.sqrt"],
  [CORE, 0x92, "f32.add f32.sub f32.mul f32.div f32.min f32.max"],
  [CORE, 0xb2, "f32.convert_i32_s f32.convert_i32_u"],
  [CORE, 0xbc, "i32.reinterpret_f32 _ f32.reinterpret_i32"],
  [MORE, 0x00, "i32.trunc_sat_f32_s i32.trunc_sat_f32_u"],
  [MORE, 0x0a, "memory.copy", "memories"],
  [SIMD, 0x00, "v128.load", "memory", 4],
  [SIMD, 0x01, "v128.load8x8_s v128.load8x8_u v128.load16x4_s v128.load16x4_u", "memory", 3],
  [SIMD, 0x09, "v128.load32_splat", "memory", 2],
  [SIMD, 0x0b, "v128.store", "memory", 4],
  [SIMD, 0x0c, "v128.const", "words"],
  [SIMD, 0x0d, "i8x16.shuffle", "lanes"],
  [SIMD, 0x0f, "i8x16.splat i16x8.splat i32x4.splat _ f32x4.splat"],
  [SIMD, 0x1b, "i32x4.extract_lane i32x4.replace_lane", "lane"],
  [SIMD, 0x1f, "f32x4.extract_lane f32x4.replace_lane", "lane"],
  [SIMD, 0x37, "i32x4.eq i32x4.ne i32x4.lt_s i32x4.lt_u i32x4.gt_s i32x4.gt_u"],
  [SIMD, 0x3d, "i32x4.le_s i32x4.le_u i32x4.ge_s i32x4.ge_u"],
  [SIMD, 0x41, "f32x4.eq f32x4.ne f32x4.lt f32x4.gt f32x4.le f32x4.ge"],
  [SIMD, 0x4d, "v128.not v128.and v128.andnot v128.or v128.xor v128.bitselect"],
  [SIMD, 0x5c, "v128.load32_zero", "memory", 2],
  [SIMD, 0x5d, "v128.load64_zero", "memory", 3],
  [SIMD, 0x62, "i8x16.popcnt _ _ i8x16.narrow_i16x8_s i8x16.narrow_i16x8_u"],
  [SIMD, 0x67, "f32x4.ceil f32x4.floor f32x4.trunc f32x4.nearest"],
  [SIMD, 0x85, "i16x8.narrow_i32x4_s i16x8.narrow_i32x4_u"],
  [SIMD, 0x87, "i16x8.extend_low_i8x16_s i16x8.extend_high_i8x16_s"],
  [SIMD, 0x89, "i16x8.extend_low_i8x16_u i16x8.extend_high_i8x16_u"],
  [SIMD, 0x8b, "i16x8.shl i16x8.shr_s i16x8.shr_u i16x8.add _ _ i16x8.sub _ _ _ i16x8.mul"],
  [SIMD, 0xa0, "i32x4.abs i32x4.neg"],
  [SIMD, 0xa7, "i32x4.extend_low_i16x8_s i32x4.extend_high_i16x8_s"],
  [SIMD, 0xa9, "i32x4.extend_low_i16x8_u i32x4.extend_high_i16x8_u"],
  [SIMD, 0xab, "i32x4.shl i32x4.shr_s i32x4.shr_u i32x4.add _ _ i32x4.sub _ _ _ i32x4.mul"],
  [SIMD, 0xb6, "i32x4.min_s i32x4.min_u i32x4.max_s i32x4.max_u i32x4.dot_i16x8_s"],
  [SIMD, 0xe0, "f32x4.abs f32x4.neg _ f32x4.sqrt f32x4.add f32x4.sub f32x4.mul f32x4.div"],
  [SIMD, 0xe8, "f32x4.min f32x4.max f32x4.pmin f32x4.pmax"],
  [SIMD, 0xf8, "i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f32x4_u"],
  [SIMD, 0xfa, "f32x4.convert_i32x4_s f32x4.convert_i32x4_u"],
  [SIMD, 0x101, "i32x4.relaxed_trunc_f32x4_s i32x4.relaxed_trunc_f32x4_u"],
  [SIMD, 0x105, "f32x4.relaxed_madd f32x4.relaxed_nmadd"],
  [ATOMIC, 0x10, "i32.atomic.load", "memory", 2],
  [ATOMIC, 0x1e, "i32.atomic.rmw.add", "memory", 2],
];

/** A count as bytes of seven bits, lowest first. */
export const unsigned = (value: number): number[] => {
  const out: number[] = [];
  let rest = value >>> 0;
  for (; rest > 127; rest >>>= 7) out.push(rest & 127 | 128);
  out.push(rest);
  return out;
};

/** Every instruction by name. */
export const OPCODES: ReadonlyMap<string, Opcode> = new Map(
  RUNS.flatMap(([prefix, first, names, immediate = "none", align = 0]) =>
    names.split(" ").flatMap((name, i): [string, Opcode][] => {
      if (name === "_") return [];
      const bytes = prefix === CORE ? [first + i] : [prefix, ...unsigned(first + i)];
      return [[name, { bytes, immediate, align }]];
    })
  ),
);
