/**
 * Reading stored tensors: from an index of the tensor to loads of words, one value or four.
 * The layout is `dsl/core/layout.ts`; decoding happens in registers.
 * @module
 */
import { type DType, DTYPES, isPacked, type Packed } from "../../dsl/core/dtype.ts";
import { blocksOf } from "../../dsl/core/layout.ts";
import { type Arr, bin, bytes, type Expr, halves, int, load, un, word } from "../ir/expr.ts";
import { fromHalf } from "./numeric.ts";

/** Where a term's values come from at an index. */
export interface Source {
  readonly at: (index: readonly Expr[]) => Expr;
  /** Four values along an axis, or nothing where they do not lie side by side. */
  readonly wide: (index: readonly Expr[], axis: number) => Expr | undefined;
  /** Sixteen codes along the last axis (from a multiple of 16) as bytes. */
  readonly bytes?: (index: readonly Expr[]) => Expr | undefined;
  /** Eight 16-bit integers along the last axis. */
  readonly fixed?: (index: readonly Expr[]) => Expr;
}

/** A source that answers every question with a constant. */
export const constantSource = (value: Expr): Source => ({ at: () => value, wide: () => undefined });

/** Is every axis after this one of size 1, so that neighbours along it are neighbours in memory? */
const isInnermost = (dims: readonly Expr[], axis: number): boolean =>
  dims.slice(axis + 1).every((d) => d.op === "const" && d.value === 1);

/** Row-major position of an index. */
export const linear = (dims: readonly Expr[], index: readonly Expr[]): Expr =>
  index.reduce((at, x, i) => bin("add", bin("mul", at, dims[i]), x), int(0));

const u32 = (e: Expr): Expr => un("toU32", e);

const packedSource = (arr: Arr, dtype: Packed, dims: readonly Expr[]): Source => {
  const n = dims[dims.length - 1].value;
  const { width, codes, words } = blocksOf(dtype, n);
  const { bits, max } = DTYPES[dtype];
  const mask = max * 0x01010101;
  const rowOf = (index: readonly Expr[]): Expr =>
    bin("mul", linear(dims.slice(0, -1), index.slice(0, -1)), int(words));
  const place = (at: Expr): { block: Expr; inside: Expr; byte: Expr; shift: Expr } => {
    const inside = bin("rem", at, int(codes));
    return {
      block: bin("div", at, int(codes)),
      inside,
      byte: bin("rem", inside, int(width)),
      shift: bin("mul", bin("div", inside, int(width)), int(bits)),
    };
  };
  const wordAt = (index: readonly Expr[]): { value: Expr; byte: Expr; shift: Expr } => {
    const { block, byte, shift } = place(index[index.length - 1]);
    const at = bin("add", bin("mul", block, int(width / 4)), bin("div", byte, int(4)));
    return { value: load(arr, bin("add", rowOf(index), at)), byte, shift };
  };
  return {
    at: (index) => {
      const { value, byte, shift } = wordAt(index);
      const by = bin("add", bin("mul", bin("rem", byte, int(4)), int(8)), shift);
      return un("toF32", bin("and", bin("shr", value, u32(by)), word(max)));
    },
    bytes: (index) => {
      const last = index[index.length - 1];
      if (width !== 16 || last.factor % 16 !== 0) return undefined;
      const { block, shift } = place(last);
      const at = bin("add", rowOf(index), bin("mul", block, int(4)));
      const planes = bin(
        "shr",
        load(arr, at, true),
        shift.op === "const" ? word(shift.value) : u32(shift),
      );
      return bits === 8 ? planes : bin("and", planes, un("splat", word(mask)));
    },
    wide: (index, axis) => {
      const last = index[index.length - 1];
      if (axis !== index.length - 1 || last.factor % 4 !== 0) return undefined;
      const { block, inside, shift } = place(last);
      if (width === 16 && inside.op === "const") {
        const at = bin("add", rowOf(index), bin("mul", block, int(4)));
        const planes = bin("shr", load(arr, at, true), word(shift.value));
        return bytes(bin("and", planes, un("splat", word(mask))), inside.value % 16 / 4);
      }
      const { value } = wordAt(index);
      return bytes(un("splat", bin("and", bin("shr", value, u32(shift)), word(mask))), 0);
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
    return isInnermost(dims, axis) && (loose() || at.factor % 4 === 0)
      ? halves(arr, at)
      : undefined;
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

/** How a tensor in memory is read; `loose` says whether four values may begin anywhere. */
export const sourceOf = (
  arr: Arr,
  dtype: DType,
  dims: readonly Expr[],
  loose: () => boolean = () => false,
): Source => {
  if (dtype === "f16") return halfSource(arr, dims, loose);
  return isPacked(dtype) && dims.length > 0
    ? packedSource(arr, dtype, dims)
    : plainSource(arr, dims, loose);
};

/** Word type of a stored dtype. */
export const elemOf = (dtype: DType): Arr["elem"] => dtype === "f32" ? "f32" : "u32";
