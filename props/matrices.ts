/**
 * Matrices that bite a decomposition: rank, scale, spread and ties. In words, as samples of tensors are.
 * @module
 */
import fc from "fast-check";
import { normals } from "./arbitraries.ts";
import { gramOf } from "./laws/factors.ts";

type Make = (rows: number, cols: number, next: () => number) => (i: number, j: number) => number;

const normal: Make = (_rows, _cols, next) => () => next();

/** A product of two normal factors. */
const ofRank = (rank: number): Make => (rows, cols, next) => {
  const left = Array.from({ length: rows * rank }, next);
  const right = Array.from({ length: rank * cols }, next);
  return (i, j) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += left[i * rank + k] * right[k * cols + j];
    return sum;
  };
};

const scaled =
  (make: Make, scale: (j: number, cols: number) => number): Make => (rows, cols, next) => {
    const at = make(rows, cols, next);
    return (i, j) => at(i, j) * scale(j, cols);
  };

const MAKE = {
  zeros: () => () => 0,
  normal,
  constant: () => () => 1.7,
  diagonal: (_rows, _cols, next) => (i, j) => i === j ? next() : 0,
  identity: () => (i, j) => i === j ? 1 : 0,
  "rank 1": ofRank(1),
  "rank 2": ofRank(2),
  "one entry": () => (i, j) => i + j === 0 ? -3 : 0,
  "a zero column": (_rows, cols, next) => (_i, j) => j === cols - 1 ? 0 : next(),
  "equal columns": (rows, cols, next) => {
    const at = ofRank(1)(rows, 1, next);
    return (i, j) => j < cols / 2 ? at(i, 0) : next();
  },
  "columns over 1e6": scaled(normal, (j, cols) => 10 ** (-6 * j / Math.max(1, cols - 1))),
  "rank 2 over 1e6": scaled(ofRank(2), (j, cols) => 10 ** (-6 * j / Math.max(1, cols - 1))),
  tiny: scaled(normal, () => 1e-30),
  huge: scaled(normal, () => 1e30),
  denormal: scaled(normal, () => 1e-40),
} as const satisfies Readonly<Record<string, Make>>;

/** What the numbers of a matrix are like. */
export type MatrixKind = keyof typeof MAKE;

/** A matrix in words. */
export interface MatrixSample {
  readonly kind: MatrixKind;
  readonly seed: number;
}

/** Its numbers, row-major, as f32 holds them. */
export const matrixData = (
  { kind, seed }: MatrixSample,
  rows: number,
  cols: number,
): Float64Array => {
  const at = (MAKE[kind] as Make)(rows, cols, normals(seed));
  return Float64Array.from(
    { length: rows * cols },
    (_, k) => Math.fround(at(Math.floor(k / cols), k % cols)),
  );
};

/** The symmetric matrix (A + Aᵀ) / 2. */
export const symmetricData = (sample: MatrixSample, n: number): Float64Array => {
  const a = matrixData(sample, n, n);
  return a.map((x, k) => Math.fround(x / 2 + a[k % n * n + Math.floor(k / n)] / 2));
};

/**
 * AᵀA over the largest magnitude of A, so that it has the size of A; with `damp` of its mean diagonal added
 * to its diagonal.
 */
export const gramData = (sample: MatrixSample, n: number, damp = 0): Float64Array => {
  const a = matrixData(sample, n, n);
  const top = a.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  const share = a.map((x) => top === 0 ? 0 : x / top);
  const { data } = gramOf({ rows: n, cols: n, data: share });
  const mean = share.reduce((sum, x) => sum + x * x, 0) / n;
  return data.map((x, k) => Math.fround((x + (k % (n + 1) === 0 ? damp * mean : 0)) * top));
};

/** Matrices. */
export const matrixArb: fc.Arbitrary<MatrixSample> = fc.record({
  kind: fc.constantFrom(...Object.keys(MAKE) as MatrixKind[]),
  seed: fc.nat(),
});
