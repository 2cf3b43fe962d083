/**
 * The routines in f64, as the meaning of `routine`: Jacobi, Householder and Cholesky, small and plain.
 * A device's factors are held to these by invariants (A ≈ U S Vᵀ, orthogonality, order), never by raw vectors.
 * @module
 */

/** Row-major matrix. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float64Array;
}

const matrix = (rows: number, cols: number, at: (i: number, j: number) => number): Matrix => ({
  rows,
  cols,
  data: Float64Array.from({ length: rows * cols }, (_, k) => at(Math.floor(k / cols), k % cols)),
});

const at = (a: Matrix, i: number, j: number): number => a.data[i * a.cols + j];

/** Rotates columns p and q of a row-major matrix. */
const rotate = (a: Matrix, p: number, q: number, c: number, s: number): void => {
  for (let i = 0; i < a.rows; i++) {
    const [x, y] = [at(a, i, p), at(a, i, q)];
    a.data[i * a.cols + p] = c * x - s * y;
    a.data[i * a.cols + q] = s * x + c * y;
  }
};

const SWEEPS = 60;
const EPS = 2 ** -52;

/** The scale that keeps squares of the entries in range. */
const scaleOf = (a: Matrix): number => {
  const top = a.data.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  return top === 0 ? 1 : 2 ** Math.floor(Math.log2(top));
};

/**
 * Singular value decomposition of a tall matrix by one-sided Jacobi: A = U diag(s) Vᵀ, s descending.
 * Columns of U whose singular value is 0 are completed to an orthonormal set.
 */
export const svd = (a: Matrix): { u: Matrix; s: Float64Array; v: Matrix } => {
  const { rows: m, cols: n } = a;
  const scale = scaleOf(a);
  const b = matrix(m, n, (i, j) => at(a, i, j) / scale);
  const v = matrix(n, n, (i, j) => i === j ? 1 : 0);
  const total = b.data.reduce((t, x) => t + x * x, 0);
  const floor = total * EPS * EPS;
  for (let sweep = 0, moved = true; moved && sweep < SWEEPS; sweep++) {
    moved = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        let [x, y, z] = [0, 0, 0];
        for (let i = 0; i < m; i++) {
          const [bp, bq] = [at(b, i, p), at(b, i, q)];
          x += bp * bp;
          y += bq * bq;
          z += bp * bq;
        }
        if (Math.abs(z) <= EPS * Math.sqrt(x * y) || Math.min(x, y) <= floor) continue;
        moved = true;
        const zeta = (y - x) / (2 * z);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        rotate(b, p, q, c, c * t);
        rotate(v, p, q, c, c * t);
      }
    }
  }
  const norms = Float64Array.from({ length: n }, (_, j) => {
    let t = 0;
    for (let i = 0; i < m; i++) t += at(b, i, j) ** 2;
    return Math.sqrt(t);
  });
  const order = Array.from(norms.keys()).sort((i, j) => norms[j] - norms[i]);
  const u = matrix(m, n, () => 0);
  order.forEach((from, j) => {
    const small = norms[from] <= EPS * Math.sqrt(total) || norms[from] === 0;
    for (let i = 0; i < m; i++) u.data[i * n + j] = small ? 0 : at(b, i, from) / norms[from];
    if (small) complete(u, j);
  });
  return {
    u,
    s: Float64Array.from(order, (j) => norms[j] * scale),
    v: matrix(n, n, (i, j) => at(v, i, order[j])),
  };
};

/** Fills column j with a unit vector orthogonal to the columns before it. */
const complete = (u: Matrix, j: number): void => {
  for (let e = 0; e < u.rows; e++) {
    const x = Float64Array.from({ length: u.rows }, (_, i) => i === e ? 1 : 0);
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < j; k++) {
        let t = 0;
        for (let i = 0; i < u.rows; i++) t += at(u, i, k) * x[i];
        for (let i = 0; i < u.rows; i++) x[i] -= t * at(u, i, k);
      }
    }
    const norm = Math.hypot(...x);
    if (norm < 0.5 / Math.sqrt(u.rows)) continue;
    for (let i = 0; i < u.rows; i++) u.data[i * u.cols + j] = x[i] / norm;
    return;
  }
};

/** Eigenvectors (columns) and eigenvalues of a symmetric matrix, descending, by two-sided Jacobi. */
export const eigh = (a: Matrix): { vectors: Matrix; values: Float64Array } => {
  const n = a.rows;
  const scale = scaleOf(a);
  const s = matrix(n, n, (i, j) => (at(a, i, j) + at(a, j, i)) / 2 / scale);
  const v = matrix(n, n, (i, j) => i === j ? 1 : 0);
  const floor = EPS * Math.sqrt(s.data.reduce((t, x) => t + x * x, 0)) / n;
  for (let sweep = 0, moved = true; moved && sweep < SWEEPS; sweep++) {
    moved = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const z = at(s, p, q);
        if (Math.abs(z) <= floor) continue;
        moved = true;
        const zeta = (at(s, q, q) - at(s, p, p)) / (2 * z);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        rotate(s, p, q, c, c * t);
        for (let i = 0; i < n; i++) {
          const [x, y] = [at(s, p, i), at(s, q, i)];
          s.data[p * n + i] = c * x - c * t * y;
          s.data[q * n + i] = c * t * x + c * y;
        }
        rotate(v, p, q, c, c * t);
      }
    }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => at(s, j, j) - at(s, i, i));
  return {
    vectors: matrix(n, n, (i, j) => at(v, i, order[j])),
    values: Float64Array.from(order, (j) => at(s, j, j) * scale),
  };
};

/** Reduced QR of a tall matrix by Householder reflections; the diagonal of R is not negative. */
export const qr = (a: Matrix): { q: Matrix; r: Matrix } => {
  const { rows: m, cols: n } = a;
  const scale = scaleOf(a);
  const w = matrix(m, n, (i, j) => at(a, i, j) / scale);
  const reflectors: Float64Array[] = [];
  for (let k = 0; k < n; k++) {
    const x = Float64Array.from({ length: m }, (_, i) => i < k ? 0 : at(w, i, k));
    const norm = Math.hypot(...x);
    x[k] += x[k] >= 0 ? norm : -norm;
    const length = Math.hypot(...x);
    if (length > 0) { for (let i = k; i < m; i++) x[i] /= length; }
    reflectors.push(x);
    for (let j = k; j < n; j++) reflect(w, x, j);
  }
  const q = matrix(m, n, (i, j) => i === j ? 1 : 0);
  for (let k = n - 1; k >= 0; k--) for (let j = 0; j < n; j++) reflect(q, reflectors[k], j);
  const sign = Float64Array.from({ length: n }, (_, k) => at(w, k, k) < 0 ? -1 : 1);
  return {
    q: matrix(m, n, (i, j) => at(q, i, j) * sign[j]),
    r: matrix(n, n, (i, j) => i > j || i >= m ? 0 : at(w, i, j) * sign[i] * scale),
  };
};

/**
 * Cholesky factor of a symmetric matrix, A = L Lᵀ, and L⁻¹, both lower triangular; the lower triangle of A
 * is read. A pivot that is not above the rounding of its diagonal entry, so that A is not positive definite
 * as far as can be seen, leaves a column of zeros in both: its 0 on the diagonal says so.
 */
export const cholesky = (a: Matrix): { lower: Matrix; inverse: Matrix } => {
  const n = a.rows;
  const [lower, inverse] = [0, 0].map(() => matrix(n, n, () => 0));
  for (let j = 0; j < n; j++) {
    const left = (i: number): number => {
      let rest = at(a, i, j);
      for (let k = 0; k < j; k++) rest -= at(lower, i, k) * at(lower, j, k);
      return rest;
    };
    const pivot = left(j);
    if (!(pivot > n * EPS * at(a, j, j))) continue;
    const root = Math.sqrt(pivot);
    for (let i = j; i < n; i++) lower.data[i * n + j] = i === j ? root : left(i) / root;
  }
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      if (at(lower, i, i) === 0) continue;
      let rest = i === j ? 1 : 0;
      for (let k = j; k < i; k++) rest -= at(lower, i, k) * at(inverse, k, j);
      inverse.data[i * n + j] = rest / at(lower, i, i);
    }
  }
  return { lower, inverse };
};

/** Column j minus twice its part along the unit vector x. */
const reflect = (w: Matrix, x: Float64Array, j: number): void => {
  let t = 0;
  for (let i = 0; i < w.rows; i++) t += x[i] * at(w, i, j);
  for (let i = 0; i < w.rows; i++) w.data[i * w.cols + j] -= 2 * t * x[i];
};
