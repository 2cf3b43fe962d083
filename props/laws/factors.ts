/**
 * Laws of factors: orthogonal, ordered, diagonal, and truncated no worse than the spectrum allows.
 * Factors are never compared themselves: signs and bases of equal values are free.
 * @module
 */
import type { Codec } from "../../dsl/codec/codec.ts";
import type { Value } from "../../dsl/read/eval.ts";
import { type Matrix, svd } from "../../dsl/read/linalg.ts";
import { type Given, norm, run } from "./codec.ts";

/** A tensor as a matrix of that many columns. */
export const matrixOf = (data: Float64Array, cols: number): Matrix => ({
  rows: data.length / cols,
  cols,
  data,
});

/** A part as a matrix, one batch only. */
export const partMatrix = (part: Value): Matrix =>
  matrixOf(part.data, part.shape[part.shape.length - 1]);

/** AᵀA. */
export const gramOf = ({ rows, cols, data }: Matrix): Matrix => {
  const out = new Float64Array(cols * cols);
  for (let k = 0; k < rows; k++) {
    for (let i = 0; i < cols; i++) {
      for (let j = 0; j < cols; j++) out[i * cols + j] += data[k * cols + i] * data[k * cols + j];
    }
  }
  return { rows: cols, cols, data: out };
};

/** Aᵀ. */
export const transpose = ({ rows, cols, data }: Matrix): Matrix => ({
  rows: cols,
  cols: rows,
  data: Float64Array.from(data, (_, i) => data[(i % rows) * cols + Math.floor(i / rows)]),
});

/** Columns are orthonormal. */
export const orthonormalLaw = (a: Matrix, tolerance: number): boolean => {
  const { cols, data } = gramOf(a);
  return data.every((x, i) => Math.abs(x - (i % (cols + 1) === 0 ? 1 : 0)) <= tolerance);
};

/** Nothing below the diagonal, nothing negative on it. */
export const triangularLaw = ({ cols, data }: Matrix): boolean =>
  data.every((x, i) => {
    const below = Math.floor(i / cols) - i % cols;
    return below > 0 ? x === 0 : below < 0 || x >= 0;
  });

/** Nothing beside the diagonal, to `tolerance` of the largest entry; the diagonal descends. */
export const diagonalLaw = ({ cols, data }: Matrix, tolerance: number): boolean => {
  const limit = tolerance * data.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  return data.every((x, i) => {
    if (i % (cols + 1) !== 0) return Math.abs(x) <= limit;
    return x >= -limit && (i === 0 || x <= data[i - cols - 1] + limit);
  });
};

/** Numbers descend and none is negative. */
export const descendingLaw = (xs: ArrayLike<number>): boolean =>
  Array.from(xs).every((x, i) => x >= 0 && (i === 0 || x <= xs[i - 1]));

/** Singular values of a matrix of any shape, descending; scaled first so that squares stay in range. */
export const singularValues = (a: Matrix): Float64Array =>
  svd(a.rows < a.cols ? transpose(a) : a).s;

/**
 * ‖x − x̂‖ ≤ √(Σ σ² left out at every bond + noise·‖x‖²) + moved·‖x‖, for the unfoldings of x into
 * matrices of `columns`, cut to `ranks`. The noise is of λ = σ², which is what a Gram matrix knows.
 */
export const truncationLaw = (
  codec: Codec,
  x: Given,
  columns: readonly number[],
  ranks: readonly number[],
  noise: number,
  moved = 0,
): boolean => {
  const { decoded } = run(codec, x, false);
  const lost = columns.flatMap((cols, k) =>
    Array.from(singularValues(matrixOf(x.data, cols)).subarray(ranks[k]))
  );
  const size = norm(x.data);
  const error = norm(decoded.map((y, i) => y - x.data[i]));
  return error <= norm([...lost, Math.sqrt(noise) * size]) + moved * size;
};
