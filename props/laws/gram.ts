/**
 * Laws of the way by a Gram matrix (`dsl/decompose/spectrum.ts`) against the true singular values.
 *
 * AᵀA + E is what is decomposed; by Ky Fan's theorem a basis of its r largest vectors leaves no more than
 * √(Σ_{k>r} σ² + 2·r·‖E‖). So the way is as good as the true decomposition where ‖E‖ is below half of
 * (`floor`·‖A‖)²: what is smaller than the floor is not told apart, and nothing else is lost.
 * @module
 */
import { rint, roundF16 } from "../../dsl/core/dtype.ts";
import { type Matrix, svd } from "../../dsl/read/linalg.ts";
import { norm } from "./codec.ts";
import { gramOf, singularValues, transpose } from "./factors.ts";

const off = (a: Matrix, back: ArrayLike<number>): number => norm(a.data.map((x, i) => x - back[i]));

/** ‖A − Â‖ ≤ √(Σ_{k≥rank} σ_k² + rank·(floor·‖A‖)²) + arithmetic·‖A‖. */
export const bestRankLaw = (
  a: Matrix,
  back: ArrayLike<number>,
  rank: number,
  floor: number,
  arithmetic: number,
): boolean => {
  const size = norm(a.data);
  const lost = norm(singularValues(a).subarray(rank));
  return off(a, back) <= Math.hypot(lost, Math.sqrt(rank) * floor * size) + arithmetic * size;
};

/** Rows of a factor are at right angles: |rᵢ·rⱼ| ≤ tolerance·‖rᵢ‖·‖rⱼ‖. */
export const orthogonalRowsLaw = ({ rows, cols, data }: Matrix, tolerance: number): boolean => {
  const size = (i: number): number => norm(data.subarray(i * cols, (i + 1) * cols));
  return gramOf(transpose({ rows, cols, data })).data.every((x, k) => {
    const [i, j] = [Math.floor(k / rows), k % rows];
    return i === j || Math.abs(x) <= tolerance * size(i) * size(j);
  });
};

/**
 * What DecoQuant may lose at most, from the true spectrum: a token of T_L has a step of its largest value
 * over `most`, no larger than its norm, in `blocks` rows, and Σ ‖token‖² is Σ σ. Row k of T_S weighs √σ_k:
 *
 * ‖A − Â‖ ≤ ½·√blocks·Σ σ / most, and what halves move, with σ held above the floor of the gauge.
 */
export const worstLoss = (a: Matrix, blocks: number, most: number, floor: number): number => {
  const sigma = singularValues(a);
  const size = norm(a.data);
  const held = sigma.reduce(
    (sum, s) => sum + Math.hypot(Math.max(s, floor * sigma[0]), floor * size),
    0,
  );
  const half = 2 ** -11 + Math.sqrt(a.cols) * 2 ** -20;
  return held * (Math.sqrt(blocks) / (2 * most) * (1 + 2 * half) + half);
};

/** What DecoQuant loses in f64 with the factors of the true decomposition, in plain loops. */
export const trueLoss = (a: Matrix, blocks: number, most: number, floor: number): number => {
  const { u, s, v } = svd(a);
  const n = a.cols;
  const root = s.map((x) => s[0] === 0 ? 1 : Math.sqrt(Math.max(x, s[0] * floor)));
  const large = u.data.map((x, i) => x * s[i % n] / root[i % n]);
  const coded = large.map((x, i) => {
    const first = i - i % (blocks * n);
    const token = large.subarray(first, first + blocks * n);
    const step = roundF16(token.reduce((m, y) => Math.max(m, Math.abs(y)), 0) / most);
    return step === 0 ? 0 : rint(x / step) * step;
  });
  const back = a.data.map((_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return root.reduce((sum, r, k) => sum + coded[i * n + k] * roundF16(r * v.data[j * n + k]), 0);
  });
  return off(a, back);
};
