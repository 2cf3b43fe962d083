/**
 * Columns of matrices: their order, their diagonal, and the factor of an inverse.
 * @module
 */
import { broadcast, cast, foldOver, gather, iota, map, permute } from "../core/build.ts";
import { routine } from "../core/routines.ts";
import type { Term } from "../core/term.ts";

/** 1 where i = j. */
const identityOf = (n: number): Term => {
  const [i, j] = [0, 1].map((axis) => iota([n, n], axis));
  return map("sub", 1, map("min", map("abs", map("sub", i, j)), 1));
};

/** Entries (i, i). */
export const diagonalOf = (a: Term): Term =>
  foldOver("sum", "sum", map("mul", a, identityOf(a.shape[0] as number)), [1]);

/** A with a share of its mean diagonal added to the diagonal. */
export const damped = (a: Term, share: number): Term => {
  const n = a.shape[0] as number;
  const mean = map("div", foldOver("sum", "sum", diagonalOf(a), [0]), n);
  const more = broadcast(map("mul", mean, share), [n, n], []);
  return map("add", a, map("mul", identityOf(n), more));
};

/** Columns `index` of a matrix. */
export const columnsOf = (a: Term, index: Term): Term =>
  permute(gather(permute(a, [1, 0]), index), [1, 0]);

/** Rows and columns `index` of a symmetric matrix. */
const reordered = (a: Term, index: Term): Term => columnsOf(gather(a, index), index);

/** U, upper triangular, of A⁻¹ = UᵀU: the inverse of the factor R of A = R Rᵀ, R upper triangular. */
export const inverseFactor = (a: Term): Term => {
  const n = a.shape[0] as number;
  // Cholesky gives lower factors; a matrix seen from its last entry has upper ones.
  const back = cast(map("sub", n - 1, iota([n], 0)), "u32");
  return reordered(routine("cholesky", "inverse", reordered(a, back)), back);
};

/** An order of columns: which column comes k-th, and as which column j comes. */
export interface Order {
  readonly at: Term;
  readonly rank: Term;
}

/** Descending order of n numbers; of equals the first comes first. */
export const descending = (x: Term): Order => {
  const n = x.shape[0] as number;
  const [mine, other] = [0, 1].map((axis) => broadcast(x, [n, n], [axis]));
  const [i, j] = [0, 1].map((axis) => iota([n, n], axis));
  const before = map(
    "max",
    map("less", mine, other),
    map("mul", map("less", j, i), equal(mine, other)),
  );
  const rank = foldOver("sum", "sum", before, [1]);
  const taken = equal(broadcast(rank, [n, n], [1]), i);
  const at = foldOver("sum", "sum", map("mul", taken, j), [1]);
  return { at: cast(at, "u32"), rank: cast(rank, "u32") };
};

const equal = (a: Term, b: Term): Term =>
  map("sub", map("sub", 1, map("less", a, b)), map("less", b, a));

/** The matrix with its rows and columns in an order. */
export const inOrder = (a: Term, { at }: Order): Term => reordered(a, at);
