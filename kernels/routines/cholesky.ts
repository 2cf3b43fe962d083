/**
 * Cholesky factor of a symmetric matrix and its inverse, A = L Lᵀ, column by column; the lower triangle
 * of A is read.
 *
 * ```text
 * for column j:   lanes over i ≥ j:  rest[i] = A[i][j] − Σ_{k<j} L[i][k]·L[j][k]
 *                 lanes over i ≥ j:  L[i][j] = rest[i] / √rest[j];   0 where rest[j] is no more than rounding
 * lanes over columns j of L⁻¹, top down:  X[i][j] = ([i = j] − Σ_{j≤k<i} L[i][k]·X[k][j]) / L[i][i]
 * ```
 *
 * The inverse is worked out transposed: both factors of a sum lie along memory.
 * @module
 */
import { bin, type Expr, int, num, select, un } from "../../compiler/ir/expr.ts";
import type { Skeleton } from "../../compiler/kernel.ts";
import { bench, identityAt, type Mat } from "./common.ts";

const EPS = 2 ** -23;

/** The skeleton. */
export const choleskySkeleton: Skeleton = (plan, context) => {
  const t = bench(plan, context);
  const { b, n } = t;
  const { low } = b;
  const rest = t.shared("rest", n);
  const l = t.work("lower", n, n);
  /** start − Σ_{from≤k<to} x[i][k]·y[j][k]. */
  const minusDot = (
    start: Expr,
    [x, i]: readonly [Mat, Expr],
    [y, j]: readonly [Mat, Expr],
    from: Expr,
    to: Expr,
  ): Expr => {
    const sum = low.mutable("sum", start);
    low.loop(
      "k",
      from,
      to,
      1,
      (k) => sum.set(bin("sub", sum.get(), bin("mul", x.get(i, k), y.get(j, k)))),
    );
    return low.named("left", sum.get());
  };
  low.par("e", int(n * n), (e) => l.set(bin("div", e, int(n)), bin("rem", e, int(n)), num(0)));
  low.loop("j", int(0), int(n), 1, (j) => {
    const below = bin("sub", int(n), j);
    low.par("i", below, (down) => {
      const i = low.named("row", bin("add", down, j));
      rest.set(i, minusDot(t.arg(i, j), [l, i], [l, j], int(0), j));
    });
    low.par("i", below, (down) => {
      const i = low.named("row", bin("add", down, j));
      const pivot = low.named("pivot", rest.get(j));
      const lost = bin("le", pivot, bin("mul", num(n * EPS), t.arg(j, j)));
      const root = low.named("root", un("sqrt", select(lost, num(1), pivot)));
      const value = select(bin("eq", i, j), root, bin("div", rest.get(i), root));
      l.set(i, j, select(lost, num(0), value));
    });
  });
  const [lower, inverse] = [t.result("lower"), t.result("inverse")];
  if (lower !== undefined) {
    low.par("e", int(n * n), (e) => {
      const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
      lower(i, j, l.get(i, j));
    });
  }
  if (inverse !== undefined) {
    const x = t.work("inverse", n, n);
    low.par("j", int(n), (j) => {
      low.loop("i", int(0), int(n), 1, (i) => {
        const diagonal = low.named("diagonal", l.get(i, i));
        const above = bin("lt", i, j);
        const left = minusDot(identityAt(i, j), [l, i], [x, j], j, i);
        const lost = bin("le", diagonal, num(0));
        const value = bin("div", left, select(lost, num(1), diagonal));
        x.set(j, i, select(above, num(0), select(lost, num(0), value)));
        inverse(i, j, x.get(j, i));
      });
    });
  }
  return t.finish();
};
