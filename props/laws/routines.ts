/**
 * Laws of the routines on a device: factors rebuild the matrix, are orthogonal and in order, and values
 * agree with f64. How far off they may be follows from what one rotation or reflection costs.
 * @module
 */
import { SWEEPS } from "../../kernels/routines/common.ts";
import { eigh, type Matrix, svd } from "../../dsl/read/linalg.ts";
import { gamma, type Machine } from "../../dsl/read/machine.ts";
import { norm } from "./codec.ts";
import { descendingLaw, gramOf, orthonormalLaw, transpose, triangularLaw } from "./factors.ts";

/**
 * What Jacobi leaves, relative to ‖A‖. A rotation changes the length of a column by the error of its
 * cosine (a root and a quotient) and of two products and a sum; a column meets cols − 1 others a sweep,
 * and there are cols columns: cols^1.5 in all. The norms at the end are sums over rows.
 */
export const jacobi = (rows: number, cols: number, m: Machine): number =>
  SWEEPS * cols * Math.sqrt(cols) * (m.div + m.sqrt + 5 * m.u) + gamma(m, rows + 8) + m.sqrt +
  m.div;

/**
 * What Householder leaves, relative to ‖A‖: each of cols reflections is off by its norm and by a product
 * of rows terms, in every one of cols columns.
 */
export const householder = (rows: number, cols: number, m: Machine): number =>
  cols * Math.sqrt(cols) * (2 * gamma(m, rows + 8) + m.div + 2 * m.sqrt);

const product = (a: Matrix, b: Matrix): Matrix => {
  const data = new Float64Array(a.rows * b.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let k = 0; k < a.cols; k++) {
      for (let j = 0; j < b.cols; j++) {
        data[i * b.cols + j] += a.data[i * a.cols + k] * b.data[k * b.cols + j];
      }
    }
  }
  return { rows: a.rows, cols: b.cols, data };
};

/** A with column j times weight j. */
const weighed = (a: Matrix, weight: Float64Array): Matrix => ({
  ...a,
  data: a.data.map((x, k) => x * weight[k % a.cols]),
});

const column = ({ rows, cols, data }: Matrix, j: number): number[] =>
  Array.from({ length: rows }, (_, i) => data[i * cols + j]);

/** Smallest normal f32: below it a device may flush, on the way in and out. */
const FLUSH = 2 ** -126;

/** ‖A − B‖ ≤ tolerance · ‖A‖. */
const rebuilds = (a: Matrix, b: Matrix, tolerance: number): boolean =>
  norm(a.data.map((x, i) => x - b.data[i])) <= tolerance * norm(a.data) + 4 * a.data.length * FLUSH;

/** Numbers within tolerance of those of f64, relative to the norm of the matrix. */
const agrees = (a: Matrix, xs: Float64Array, exact: Float64Array, tolerance: number): boolean =>
  xs.every((x, i) =>
    Math.abs(x - exact[i]) <= tolerance * norm(a.data) + 4 * a.data.length * FLUSH
  );

/** Orthonormal columns, or columns of zeros where they may be. */
const orthonormal = (a: Matrix, tolerance: number, mayVanish: (j: number) => boolean): boolean =>
  gramOf(a).data.every((x, k) => {
    const [i, j] = [Math.floor(k / a.cols), k % a.cols];
    if (i === j && x === 0) return mayVanish(j);
    return Math.abs(x - (i === j ? 1 : 0)) <= tolerance;
  });

/** Names of the laws a set of results breaks. */
const broken = (laws: Readonly<Record<string, boolean>>): string[] =>
  Object.entries(laws).filter(([, holds]) => !holds).map(([name]) => name);

/** What is wrong with a singular value decomposition of a tall matrix. */
export const svdBroken = (
  a: Matrix,
  { u, s, v }: Readonly<Record<"u" | "s" | "v", Float64Array>>,
  machine: Machine,
): string[] => {
  const tolerance = jacobi(a.rows, a.cols, machine);
  const left: Matrix = { ...a, data: u };
  const right: Matrix = { rows: a.cols, cols: a.cols, data: v };
  // σ drowns in the rounding of ‖A‖; its column of U may be zeros, and σ is then lost from the product.
  const drowned = 2 * machine.u * norm(a.data) * (1 + tolerance) + 4 * a.data.length * FLUSH;
  return broken({
    "s descends": descendingLaw(s),
    "s is that of f64": a.rows < a.cols || agrees(a, s, svd(a).s, tolerance),
    "v is orthogonal": orthonormalLaw(right, tolerance),
    "u is orthogonal, zeros where s drowns": orthonormal(left, tolerance, (j) => s[j] <= drowned),
    "u s vᵀ is a": rebuilds(
      a,
      product(weighed(left, s), transpose(right)),
      tolerance + 2 * machine.u * Math.sqrt(a.cols),
    ),
  });
};

/** What is wrong with the eigenvectors and eigenvalues of a symmetric matrix. */
export const eighBroken = (
  a: Matrix,
  { vectors, values }: Readonly<Record<"vectors" | "values", Float64Array>>,
  machine: Machine,
): string[] => {
  // Rotations act from both sides.
  const tolerance = 2 * jacobi(a.rows, a.cols, machine);
  const v: Matrix = { ...a, data: vectors };
  return broken({
    "values descend": values.every((x, i) => i === 0 || x <= values[i - 1]),
    "values are those of f64": agrees(a, values, eigh(a).values, tolerance),
    "vectors are orthogonal": orthonormalLaw(v, tolerance),
    "v λ vᵀ is a": rebuilds(a, product(weighed(v, values), transpose(v)), tolerance),
  });
};

/** What is wrong with a QR decomposition. */
export const qrBroken = (
  a: Matrix,
  { q, r }: Readonly<Record<"q" | "r", Float64Array>>,
  machine: Machine,
): string[] => {
  const tolerance = householder(a.rows, a.cols, machine);
  const [left, right] = [{ ...a, data: q }, { rows: a.cols, cols: a.cols, data: r }];
  return broken({
    "r is upper triangular, its diagonal not negative": triangularLaw(right),
    "q is orthogonal, zeros beyond the rows": orthonormal(left, tolerance, (j) => j >= a.rows),
    "no column of q beyond the rows": Array.from({ length: a.cols }, (_, j) => j)
      .every((j) => j < a.rows || norm(column(left, j)) === 0),
    "q r is a": rebuilds(a, product(left, right), tolerance),
  });
};

/**
 * What Cholesky leaves of an entry, relative to the sum of magnitudes that made it: its sum, taken in any
 * order, and a quotient by a root or a root squared.
 */
export const cholesky = (n: number, m: Machine): number => 2 * gamma(m, n + 4) + m.div + 2 * m.sqrt;

/** Smallest eigenvalue of the matrix scaled to a diagonal of 1; none where that cannot be done in f32. */
const definiteness = (a: Matrix): number => {
  const size = (i: number): number => Math.sqrt(a.data[i * (a.cols + 1)]);
  const scaled = a.data.map((x, k) => x / size(Math.floor(k / a.cols)) / size(k % a.cols));
  const fits = column({ ...a, data: a.data }, 0).every((_, i) => size(i) > 2 ** -50);
  return fits ? eigh({ ...a, data: scaled }).values[a.cols - 1] : -Infinity;
};

/**
 * What is wrong with a Cholesky factor and its inverse. A column whose pivot was not above rounding is zeros;
 * no claim is made on what stood below that pivot.
 */
export const choleskyBroken = (
  a: Matrix,
  { lower, inverse }: Readonly<Record<"lower" | "inverse", Float64Array>>,
  machine: Machine,
): string[] => {
  const n = a.cols;
  const growth = cholesky(n, machine);
  const [l, x] = [{ ...a, data: lower }, { ...a, data: inverse }];
  const magnitude = (b: Matrix): Matrix => ({ ...b, data: b.data.map(Math.abs) });
  const largest = (b: Matrix): number => magnitude(b).data.reduce((m, v) => Math.max(m, v), 1);
  const flush = (2 * n + 4) * FLUSH * largest(l) * largest(x);
  const lost = (j: number): boolean => lower[j * (n + 1)] === 0;
  const [squared, size] = [
    product(l, transpose(l)),
    product(magnitude(l), magnitude(transpose(l))),
  ];
  const [unit, reach] = [product(l, x), product(magnitude(l), magnitude(x))];
  const cells = (holds: (i: number, j: number, at: number) => boolean): boolean =>
    a.data.every((_, at) => holds(Math.floor(at / n), at % n, at));
  const columns = (holds: (j: number) => boolean): boolean =>
    column(a, 0).every((_, j) => holds(j));
  const off = (at: number): number => growth * (size.data[at] + Math.abs(a.data[at])) + flush;
  return broken({
    "both are lower triangular": cells((i, j, at) =>
      i >= j || (lower[at] === 0 && inverse[at] === 0)
    ),
    "diagonals are not negative": columns((j) => lower[j * (n + 1)] >= 0),
    "l lᵀ is a": cells((i, j, at) =>
      i < j || lost(j) || Math.abs(squared.data[at] - a.data[at]) <= off(at)
    ),
    "a lost column is zeros": cells((_i, j, at) => !lost(j) || lower[at] === 0),
    "a lost pivot is no more than rounding": columns((j) => {
      const at = j * (n + 1);
      const limit = 2 * n * machine.u * Math.abs(a.data[at]);
      return !lost(j) || a.data[at] - squared.data[at] <= limit + off(at);
    }),
    "a positive definite matrix loses none": columns((j) => !lost(j)) ||
      !(definiteness(a) > n * (growth + 2 * machine.u)),
    "l l⁻¹ is the identity": cells((i, j, at) => {
      const one = i === j ? 1 : 0;
      return lost(i) ? inverse[at] === 0 : lost(j) ||
        Math.abs(unit.data[at] - one) <= growth * (reach.data[at] + one) + flush;
    }),
  });
};
