/**
 * Named tensors as they lie in a file. A tensor is decoded when its numbers are first asked for and
 * kept from then on, so opening a file costs its header only. The file's bytes are borrowed: do not
 * write to them while the weights are in use.
 * @module
 */
import { decodeBF16, decodeF16 } from "./half.ts";

/** How numbers lie in a file; all little-endian. */
export type WeightType = "F32" | "F16" | "BF16";

/** Bytes of one number. */
export const widths: Readonly<Record<WeightType, number>> = { F32: 4, F16: 2, BF16: 2 };

/** One tensor, row-major. */
export type Weight = {
  /** Sizes of the axes, outermost first. */
  readonly shape: readonly number[];
  /** How the numbers lie in the file. */
  readonly dtype: WeightType;
  /** The numbers, decoded on first use. */
  readonly data: Float32Array;
};

/** The tensors of a model by their names. */
export type Weights = ReadonlyMap<string, Weight>;

const decoders: Readonly<Record<WeightType, (bytes: Uint8Array) => Float32Array>> = {
  // A copy, since a file's offsets need not be aligned; not by `slice`, which makes no copy of a
  // Node `Buffer`. Every engine we run on is little-endian.
  F32: (bytes) => new Float32Array(new Uint8Array(bytes).buffer),
  F16: decodeF16,
  BF16: decodeBF16,
};

/** A tensor over borrowed bytes; the caller has checked that their count fits. */
export const weight = (
  shape: readonly number[],
  dtype: WeightType,
  bytes: Uint8Array,
): Weight => {
  let data: Float32Array | undefined;
  return {
    shape,
    dtype,
    get data(): Float32Array {
      return data ??= decoders[dtype](bytes);
    },
  };
};
