/**
 * Reading stored tensors: from an index of the tensor to loads of words, one value or four.
 * The layout is `dsl/core/layout.ts`; decoding happens in registers.
 * @module
 */
import {
  codesIn,
  type DType,
  DTYPES,
  type Float8,
  isFloat8,
  type Packed,
} from "../../dsl/core/dtype.ts";
import { blocksOf, inVectors, type Plane, runOf, VECTOR } from "../../dsl/core/layout.ts";
import {
  type Arr,
  asI16,
  bin,
  bytes,
  type Expr,
  halves,
  int,
  lanesOf,
  load,
  swizzle,
  twice,
  un,
  unzip32,
  vec4,
  word,
} from "../ir/expr.ts";
import { fromFloat8, fromHalf, fromHighBytes } from "./numeric.ts";

/** Where a term's values come from at an index. */
export interface Source {
  readonly at: (index: readonly Expr[]) => Expr;
  /** Four values along an axis, or nothing where they do not lie side by side. */
  readonly wide: (index: readonly Expr[], axis: number) => Expr | undefined;
  /** Sixteen codes along the last axis (from a multiple of 16), as they lie. */
  readonly codes?: (index: readonly Expr[]) => readonly Bits[] | undefined;
  /** A vector of fixed-point integers along the last axis; of 16 bits, the even or odd ones of sixteen. */
  readonly fixed?: (index: readonly Expr[]) => Expr;
}

/** Bits of sixteen codes: `bits` of each byte of a vector, from bit `from` on, are those from `low` on. */
export interface Bits {
  readonly vector: Expr;
  readonly bits: number;
  readonly from: Expr;
  readonly low: number;
}

/** A source that answers every question with a constant. */
export const constantSource = (value: Expr): Source => ({ at: () => value, wide: () => undefined });

/** Is every axis after this one of size 1, so that neighbours along it are neighbours in memory? */
const isInnermost = (dims: readonly Expr[], axis: number): boolean =>
  dims.slice(axis + 1).every((d) => d.op === "const" && d.value === 1);

/** Row-major position of an index. */
export const linear = (dims: readonly Expr[], index: readonly Expr[]): Expr => {
  // What is known of it is counted aside: most of an index often is.
  let at: Expr | undefined;
  let known = 0;
  index.forEach((x, i) => {
    const { op, value } = dims[i];
    if (op === "const") {
      known *= value;
    } else if (known !== 0) {
      [at, known] = [at === undefined ? int(known) : bin("add", at, int(known)), 0];
    }
    if (at !== undefined) at = bin("mul", at, dims[i]);
    if (x.op === "const") known += x.value;
    else at = at === undefined ? x : bin("add", at, x);
  });
  return at === undefined ? int(known) : bin("add", at, int(known));
};

const u32 = (e: Expr): Expr => un("toU32", e);

/** One in every byte of a word. */
const EVERY_BYTE = 0x01010101;

/** The `bits` bits at `from` of every byte, at `to` of that byte, and nothing else. */
export const moveBits = (x: Expr, bits: number, from: Expr, to: number): Expr =>
  move(x, (2 ** bits - 1) * EVERY_BYTE, from, to);

/** The bits of `mask` at `from` on, at `to` on. */
const move = (x: Expr, mask: number, from: Expr, to: number): Expr => {
  const kept = (e: Expr, m: number): Expr => {
    if (m >>> 0 === 0xffffffff) return e;
    return bin("and", e, lanesOf(e.type) ? un("splat", word(m)) : word(m));
  };
  if (from.op !== "const") return bin("shl", kept(bin("shr", x, u32(from)), mask), word(to));
  const by = from.value - to;
  return kept(by < 0 ? bin("shl", x, word(-by)) : bin("shr", x, word(by)), mask * 2 ** to);
};

/** Sixteen codes as bytes. */
export const codesAsBytes = (codes: readonly Bits[]): Expr =>
  codes.map(({ vector, bits, from, low }) => moveBits(vector, bits, from, low))
    .reduce((a, b) => bin("or", a, b));

/** The codes of every other byte, from byte 0 or 1 on, as eight 16-bit integers. */
export const codesAsWords = (codes: readonly Bits[], odd: number): Expr =>
  codes.map(({ vector, bits, from, low }) => {
    const shift = bin("add", from, int(8 * odd));
    const shifted = bin("shr", asI16(vector), u32(shift));
    const last = shift.op === "const" && shift.value + bits === 16;
    const mask = asI16(un("splat", word((2 ** bits - 1) * 0x00010001)));
    const kept = last ? shifted : bin("and", shifted, mask);
    return bin("shl", kept, word(low));
  }).reduce((a, b) => bin("or", a, b));

/** Codes of two, vector by vector brought together. */
export const zipCodes = (
  zip: (a: Expr, b: Expr, half: number) => Expr,
  codes: readonly Bits[],
  others: readonly Bits[],
  half: number,
): Bits[] => codes.map((c, i) => ({ ...c, vector: zip(c.vector, others[i].vector, half) }));

const packedSource = (arr: Arr, dtype: Packed, dims: readonly Expr[]): Source => {
  const blocks = blocksOf(dtype, dims[dims.length - 1].value);
  const { planes, codes, size, words } = blocks;
  /** The word where a plane's run begins, and the place of a code among those of the run. */
  const runAt = (plane: Plane, index: readonly Expr[]): { start: Expr; within: Expr } => {
    const row = bin("mul", linear(dims.slice(0, -1), index.slice(0, -1)), int(words));
    const at = index[index.length - 1];
    const block = bin("mul", bin("div", at, int(codes)), int(size));
    const inside = bin("rem", at, int(codes));
    const run = bin("mul", bin("div", inside, int(runOf(plane))), int(plane.width / 4));
    return {
      start: bin("add", bin("add", bin("add", row, block), int(plane.start / 4)), run),
      within: bin("rem", inside, int(runOf(plane))),
    };
  };
  /** A code's word, its byte there, and the place of its bits in the byte. */
  const wordAt = (
    plane: Plane,
    index: readonly Expr[],
  ): { value: Expr; byte: Expr; shift: Expr } => {
    const { start, within } = runAt(plane, index);
    const byte = bin("rem", within, int(plane.width));
    return {
      value: load(arr, bin("add", start, bin("div", byte, int(4)))),
      byte: bin("rem", byte, int(4)),
      shift: bin("mul", bin("div", within, int(plane.width)), int(plane.bits)),
    };
  };
  /** The sixteen codes from the multiple of 16 at or before an index. */
  const codesAt = (index: readonly Expr[]): Bits[] =>
    planes.map((plane) => {
      const { bits, width, low } = plane;
      const { start, within } = runAt(plane, index);
      const vector = width === VECTOR ? load(arr, start, true) : twice(arr, start, bits);
      const from = bin("mul", bin("div", within, int(VECTOR)), int(VECTOR / width * bits));
      return { vector, bits, from, low };
    });
  return {
    at: (index) => {
      const parts = planes.map((plane) => {
        const { value, byte, shift } = wordAt(plane, index);
        const from = bin("add", bin("mul", byte, int(8)), shift);
        return move(value, 2 ** plane.bits - 1, from, plane.low);
      });
      return un("toF32", parts.reduce((a, b) => bin("or", a, b)));
    },
    codes: (index) =>
      inVectors(blocks) && index[index.length - 1].factor % VECTOR === 0
        ? codesAt(index)
        : undefined,
    wide: (index, axis) => {
      const last = index[index.length - 1];
      if (axis !== index.length - 1 || last.factor % 4 !== 0) return undefined;
      const within = bin("rem", last, int(VECTOR));
      if (inVectors(blocks) && within.op === "const") {
        return bytes(codesAsBytes(codesAt(index)), within.value / 4);
      }
      const parts = planes.map((plane) => {
        const { value, shift } = wordAt(plane, index);
        return moveBits(value, plane.bits, shift, plane.low);
      });
      return bytes(un("splat", parts.reduce((a, b) => bin("or", a, b))), 0);
    },
  };
};

const halfSource = (arr: Arr, dims: readonly Expr[], loose: () => boolean): Source => ({
  at: (index) => {
    const at = linear(dims, index);
    const shift = bin("mul", bin("rem", at, int(2)), int(16));
    const pair = load(arr, bin("div", at, int(2)));
    return fromHalf(bin("and", bin("shr", pair, u32(shift)), word(0xffff)));
  },
  wide: (index, axis) => {
    const at = linear(dims, index);
    if (isInnermost(dims, axis)) {
      return loose() || at.factor % 4 === 0 ? halves(arr, at) : undefined;
    }
    // Two side by side: four of either lie in two vectors.
    const last = index[index.length - 1];
    const two = axis === dims.length - 2 && dims[axis + 1].op === "const" &&
      dims[axis + 1].value === 2;
    if (!two || last.op !== "const" || !loose()) return undefined;
    const from = linear(dims, [...index.slice(0, -1), int(0)]);
    return unzip32(halves(arr, from), halves(arr, bin("add", from, int(4))), last.value);
  },
});

const plainSource = (arr: Arr, dims: readonly Expr[], loose: () => boolean): Source => {
  const value = (e: Expr): Expr => arr.elem === "f32" ? e : un("toF32", e);
  return {
    at: (index) => value(load(arr, linear(dims, index))),
    wide: (index, axis) => {
      const at = linear(dims, index);
      return isInnermost(dims, axis) && (loose() || at.factor % 4 === 0)
        ? value(load(arr, at, true))
        : undefined;
    },
  };
};

/** A number of words as words. */
const asWords = (e: Expr): Expr => e.op === "toF32" ? e.args[0] : u32(e);

/** Floats of 8 bits by their bytes. With vectors of bytes, four side by side each come to the top of a word. */
const float8Source = (
  dtype: Float8,
  packed: Source,
  loose: () => boolean,
  vectors: boolean,
): Source => {
  const high = vectors && DTYPES[dtype].min < 0;
  const four = (bytes: Expr): Expr => {
    if (!high || bytes.op !== "bytes") return fromFloat8(dtype, u32(bytes));
    // Places beyond the sixteen bytes give none.
    const places = [0, 1, 2, 3].map((k) =>
      word(((4 * bytes.value + k) * 2 ** 24 + 0x808080) >>> 0)
    );
    return fromHighBytes(dtype, swizzle(bytes.args[0], vec4(places)));
  };
  /** Four that lie apart are read one by one, and decoded at once. */
  const apart = (index: readonly Expr[], axis: number): Expr => {
    const bytes = vec4(
      [0, 1, 2, 3].map((k) =>
        asWords(packed.at(index.map((x, a) => a === axis ? bin("add", x, int(k)) : x)))
      ),
    );
    return high ? fromHighBytes(dtype, bin("shl", bytes, word(24))) : fromFloat8(dtype, bytes);
  };
  return {
    at: (index) => fromFloat8(dtype, asWords(packed.at(index))),
    wide: (index, axis) => {
      const bytes = packed.wide(index, axis);
      if (bytes !== undefined) return four(bytes);
      return vectors && loose() ? apart(index, axis) : undefined;
    },
  };
};

/** How a tensor in memory is read; `loose`: may four values begin anywhere? `vectors`: are there ones of bytes? */
export const sourceOf = (
  arr: Arr,
  dtype: DType,
  dims: readonly Expr[],
  loose: () => boolean = () => false,
  vectors = false,
): Source => {
  if (dtype === "f16") return halfSource(arr, dims, loose);
  const codes = codesIn(dtype);
  if (codes === undefined) return plainSource(arr, dims, loose);
  const packed = packedSource(arr, codes, dims.length > 0 ? dims : [int(1)]);
  const source = isFloat8(dtype) ? float8Source(dtype, packed, loose, vectors) : packed;
  // A single code is a row of one.
  return dims.length > 0 ? source : constantSource(source.at([int(0)]));
};

/** Word type of a stored dtype. */
export const elemOf = (dtype: DType): Arr["elem"] => dtype === "f32" ? "f32" : "u32";
