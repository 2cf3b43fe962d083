/**
 * Constructors of expressions; see `node.ts` for what a node is.
 * @module
 */
import { addInt, divInt, foldInt, mulInt, remInt, subInt } from "./integer.ts";
import {
  type Arr,
  type Bin,
  type Expr,
  int,
  lanesOf,
  node,
  num,
  type Ty,
  type Un,
  word,
} from "./node.ts";

export * from "./node.ts";

/** One element (`f32` or `u32`) or four (`f32x4`, `u32x4`) of an array; the index counts elements. */
export const load = (arr: Arr, index: Expr, wide = false): Expr =>
  node("load", wide ? (arr.elem === "f32" ? "f32x4" : "u32x4") : arr.elem, [index], { arr });

/** Is it this number, in every lane? */
export const isAll = (e: Expr, value: number): boolean =>
  e.op === "splat" ? isAll(e.args[0], value) : e.op === "const" && e.value === value;

/** A shift by nothing, whatever integer counts it. */
const isZero = (e: Expr): boolean =>
  e.op === "const" ? e.value === 0 : (e.op === "toU32" || e.op === "toI32") && isZero(e.args[0]);

/** A binary operator; both sides have one type, a scalar spreads to the other's lanes. */
export const bin = (op: Bin, a: Expr, b: Expr): Expr => {
  if (a.type !== b.type) {
    if (lanesOf(a.type) && !lanesOf(b.type) && op !== "shl" && op !== "shr") {
      return bin(op, a, un("splat", b));
    }
    if (lanesOf(b.type) && !lanesOf(a.type)) return bin(op, un("splat", a), b);
  }
  const compare = op === "lt" || op === "le" || op === "eq";
  if (a.type === "i32" && !compare) {
    if (a.op === "const" && b.op === "const") {
      const folded = foldInt(op, a.value, b.value);
      if (folded !== undefined) return int(folded);
    }
    if (op === "add") return addInt(a, b);
    if (op === "sub") {
      return subInt(a, b);
    }
    if (op === "mul") return mulInt(a, b);
    if (op === "div") return divInt(a, b);
    if (op === "rem") return remInt(a, b);
    if (op === "min") {
      return a.hi <= b.lo
        ? a
        : b.hi <= a.lo
        ? b
        : node(op, "i32", [a, b], { lo: Math.min(a.lo, b.lo), hi: Math.min(a.hi, b.hi) });
    }
    if (op === "max") {
      return node(op, "i32", [a, b], { lo: Math.max(a.lo, b.lo), hi: Math.max(a.hi, b.hi) });
    }
  }
  if (a.type === "f32" || a.type === "f32x4") {
    // Exact in any arithmetic.
    if (op === "mul" && isAll(b, 1)) return a;
    if (op === "mul" && isAll(b, -1)) return un("neg", a);
    if (op === "add" && b.op === "neg") return bin("sub", a, b.args[0]);
  }
  if (op === "lt" && a.type === "i32" && a.hi < b.lo) {
    return node("const", "bool", [], { value: 1 });
  }
  const type = compare ? (lanesOf(a.type) ? "bool4" : "bool") : a.type;
  if ((op === "shl" || op === "shr") && isZero(b)) return a;
  return node(op, type, [a, b]);
};

const UN_TYPE: Partial<Record<Un, (t: Ty) => Ty>> = {
  toF32: (t) => t === "u32x4" || t === "i32x4" ? "f32x4" : "f32",
  toI32: () => "i32",
  toU32: (t) => t === "f32x4" ? "u32x4" : "u32",
  asF32: (t) => t === "u32x4" ? "f32x4" : "f32",
  asU32: (t) => t === "f32x4" ? "u32x4" : "u32",
  splat: (t) =>
    ({ f32: "f32x4", bool: "bool4", i32: "i32x4" } as Partial<Record<Ty, Ty>>)[t] ?? "u32x4",
  hsum: () => "f32",
  hmax: () => "f32",
  hmin: () => "f32",
};

/** A unary operator. */
export const un = (op: Un, a: Expr): Expr => {
  if (op === "splat" && lanesOf(a.type)) return a;
  return node(op, (UN_TYPE[op] ?? ((t: Ty) => t))(a.type), [a]);
};

/** `condition ? a : b`, lane by lane if the condition has lanes. */
export const select = (condition: Expr, a: Expr, b: Expr): Expr => {
  if (condition.op === "const") return condition.value ? a : b;
  if (a === b) return a;
  const wide = [condition, a, b].some((e) => lanesOf(e.type));
  const [c, x, y] = wide ? [condition, a, b].map((e) => un("splat", e)) : [condition, a, b];
  return node("select", x.type, [c, x, y]);
};

/** One lane of four. */
export const lane = (a: Expr, k: number): Expr => {
  if (a.op === "vec4") return a.args[k];
  if (a.op === "splat") return a.args[0];
  return node("lane", a.type === "f32x4" ? "f32" : a.type === "u32x4" ? "u32" : "bool", [a], {
    value: k,
  });
};

/** Four scalars as lanes. */
export const vec4 = (parts: readonly Expr[]): Expr =>
  parts.every((p) => p === parts[0]) ? un("splat", parts[0]) : node(
    "vec4",
    parts[0].type === "f32" ? "f32x4" : parts[0].type === "bool" ? "bool4" : "u32x4",
    parts,
  );

/** a·b + c, with or without rounding in between. */
export const madd = (a: Expr, b: Expr, c: Expr): Expr => {
  const wide = [a, b, c].some((e) => lanesOf(e.type));
  if (isAll(b, 1)) return bin("add", c, a);
  if (isAll(b, -1)) return bin("sub", c, a);
  const args = wide ? [a, b, c].map((e) => un("splat", e)) : [a, b, c];
  return node("madd", wide ? "f32x4" : "f32", args);
};

/** Bytes 4k … 4k+3 of 16 bytes as numbers. */
export const bytes = (block: Expr, k: number): Expr =>
  node("bytes", "f32x4", [block], { value: k });

/** Sixteen numbers 0 … 255, already rounded, as 16 bytes. */
export const packBytes = (parts: readonly Expr[]): Expr => {
  const [block] = parts[0].args;
  return parts.every((p, k) => p.op === "bytes" && p.value === k && p.args[0] === block)
    ? block
    : node("packBytes", "u32x4", parts);
};

/** Sixteen words below 2^31 as bytes, at most `most`, and `more` added to each. */
export const packWords = (parts: readonly Expr[], most: number, more: number): Expr => {
  const bytes = (value: number): Expr => un("splat", word(value * 0x01010101));
  return node("packWords", "u32x4", [...parts, bytes(most), bytes(more)]);
};

/** Four halves of an f16 array as numbers; the index counts halves. */
export const halves = (arr: Arr, index: Expr): Expr => node("halves", "f32x4", [index], { arr });

/** Eight numbers rounded to halves, in four words; written out before it is printed. */
export const roundedHalves = (low: Expr, high: Expr): Expr =>
  node("roundedHalves", "u32x4", [low, high]);

/** Eight words below 2^16 as the halves of four words. */
export const narrowU16 = (low: Expr, high: Expr): Expr => node("narrowU16", "u32x4", [low, high]);

/** Two words, and the same shifted right by `by` bits, as 16 bytes; the index counts words. */
export const twice = (arr: Arr, index: Expr, by: number): Expr =>
  node("twice", "u32x4", [index], { arr, value: by });

/** Products of eight 16-bit pairs, neighbours added: four 32-bit sums. */
export const dot16 = (a: Expr, b: Expr): Expr => node("dot16", "i32x4", [a, b]);

/**
 * Products of sixteen bytes, neighbours added: eight 16-bit sums. `a` is signed; codes are 0 … 127, so that
 * devices that read them as signed and as unsigned agree.
 */
export const dot8 = (a: Expr, codes: Expr): Expr => node("dot8", "i16x8", [a, codes]);

/** Neighbours of eight 16-bit integers added: four 32-bit sums. */
export const pairs = (a: Expr): Expr => node("pairs", "i32x4", [a]);

/** Four of eight 16-bit integers, the low (0) or the high (1) ones, as 32-bit integers. */
export const widen16 = (a: Expr, half: number): Expr =>
  node("widen16", "i32x4", [a], { value: half });

/** Sixteen rounded numbers within ±127 as bytes. */
export const packI8 = (parts: readonly Expr[]): Expr => node("packI8", "u32x4", parts);

/** Eight rounded numbers within ±32767 as 16-bit integers in four words. */
export const packI16 = (low: Expr, high: Expr): Expr => node("packI16", "u32x4", [low, high]);

/** Four words as eight 16-bit integers. */
export const asI16 = (words: Expr): Expr => node("asI16", "i16x8", [words]);

/** Bytes a0 b0 a1 b1 … of the low (0) or high (1) halves of 16 bytes. */
export const zip8 = (a: Expr, b: Expr, half: number): Expr =>
  node("zip8", "u32x4", [a, b], { value: half });

/** Halves a0 b0 a1 b1 … of the low (0) or high (1) halves of 16 bytes. */
export const zip16 = (a: Expr, b: Expr, half: number): Expr =>
  node("zip16", "u32x4", [a, b], { value: half });

/** The even (0) or odd (1) ones of sixteen halves of words, of one vector and then of another. */
export const unzip16 = (a: Expr, b: Expr, odd: number): Expr =>
  node("unzip16", "u32x4", [a, b], { value: odd });

/** The even (0) or odd (1) ones of eight numbers, of one vector and then of another. */
export const unzip32 = (a: Expr, b: Expr, odd: number): Expr =>
  node("unzip32", a.type, [a, b], { value: odd });

/** Four numbers, the last one first. */
export const reversed = (a: Expr): Expr => node("reversed", a.type, [a]);

/** Words a0 b0 a1 b1 of the low (0) or high (1) halves of two vectors. */
export const zip32 = (a: Expr, b: Expr, half: number): Expr =>
  node("zip32", a.type, [a, b], { value: half });

/** Four lanes from lane `by` on, around: `(a[by], a[by + 1], …)`. */
export const turned = (a: Expr, by: number): Expr =>
  by === 0 ? a : node("turned", a.type, [a], { value: by });

/** The bytes of a table of 16 bytes at places 0 … 15. */
export const swizzle = (table: Expr, places: Expr): Expr =>
  node("swizzle", "u32x4", [table, places]);

/** Entries of a table that {@link lookup} takes at most. */
export const LOOKED = 16;

/** Entries of a small table by bytes 4k … 4k+3 of 16 bytes; the last one beyond its end. */
export const lookup = (block: Expr, k: number, values: readonly number[]): Expr =>
  node("lookup", "f32x4", [block, ...values.map(num)], { value: k });

/** How many of some ascending cuts each of four numbers is above; written out before it is printed. */
export const above = (x: Expr, cuts: readonly number[]): Expr =>
  node("above", "f32x4", [x, ...cuts.map(num)]);

/** The sums, the largest or the smallest lanes of four vectors. */
export const across4 = (op: "hsum" | "hmax" | "hmin", parts: readonly Expr[]): Expr =>
  node(`${op}4`, parts[0].type, parts);

/** The same node over other operands. */
export const rebuilt = (e: Expr, args: readonly Expr[]): Expr =>
  args.every((a, i) => a === e.args[i]) ? e : node(e.op, e.type, args, {
    value: e.value,
    name: e.name,
    ...(e.arr === undefined ? {} : { arr: e.arr }),
    lo: e.lo,
    hi: e.hi,
    factor: e.factor,
  });
