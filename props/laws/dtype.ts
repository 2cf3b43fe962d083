/**
 * Laws of element types: what storing does to a number.
 * @module
 */
import { castTo, type DType, DTYPES } from "../../dsl/core/dtype.ts";
import { fromWords, toWords } from "../../compiler/runtime/tensor.ts";

/** Storing what was stored changes nothing. */
export const settledLaw = (dtype: DType, x: number): boolean =>
  Object.is(castTo(dtype, castTo(dtype, x)), castTo(dtype, x));

/** Storing keeps the order; what is no number stays none. */
export const monotoneLaw = (dtype: DType, x: number, y: number): boolean =>
  Number.isNaN(castTo(dtype, NaN)) &&
  castTo(dtype, Math.min(x, y)) <= castTo(dtype, Math.max(x, y));

/** No value that the type can hold is nearer, and none beyond its range is given: `candidates` are. */
export const nearestLaw = (dtype: DType, x: number, candidates: readonly number[]): boolean => {
  const { min, max } = DTYPES[dtype];
  const stored = castTo(dtype, x);
  return stored >= min && stored <= max &&
    candidates.every((c) => Math.abs(castTo(dtype, c) - x) >= Math.abs(stored - x));
};

/** Words hold the values of a tensor of rows. */
export const wordsLaw = (
  dtype: DType,
  shape: readonly number[],
  values: readonly number[],
): boolean =>
  fromWords(dtype, shape, toWords("x", dtype, shape, values))
    .every((v, i) => v === values[i]);
