/**
 * Reduced QR of a tall matrix by Householder reflections; lanes run over columns. The diagonal of R
 * is not negative.
 * @module
 */
import { bin, type Expr, int, num, select, un } from "../../compiler/ir/expr.ts";
import type { Skeleton } from "../../compiler/kernel.ts";
import { bench, identityAt, largest, type Mat } from "./common.ts";

/**
 * The matrix is scaled to 1: a reflector this short is far below the rounding of what came before, and
 * its squares are near the end of f32. Its column is left alone.
 */
const LOST = 1e-15;

/** The skeleton. */
export const qrSkeleton: Skeleton = (plan, context) => {
  const t = bench(plan, context);
  const { b, n, m } = t;
  const { low } = b;
  const [root] = plan.roots;
  const rows = (root.tag === "routine" ? root.args[0] : root).shape.slice(-2)[0];
  const scale = t.shared("scale", 1);
  const factor = t.shared("factor", 1);
  const [w, x, q] = [t.work("tri", rows, n), t.work("reflector", rows, n), t.work("orth", rows, n)];
  largest(t, (v) => scale.set(int(0), v));
  const cells = bin("mul", m, int(n));
  low.par("e", cells, (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    w.set(i, j, bin("div", t.arg(i, j), scale.get(int(0))));
    q.set(
      i,
      j,
      identityAt(i, j),
    );
  });
  const squares = (mat: Mat, k: Expr): Expr => {
    const sum = low.mutable("sum", num(0));
    low.loop(
      "i",
      k,
      m,
      1,
      (i) => sum.set(bin("add", sum.get(), bin("mul", mat.get(i, k), mat.get(i, k)))),
    );
    return sum.get();
  };
  /** Column j of `mat` minus twice its part along reflector k. */
  const reflect = (mat: Mat, k: Expr, j: Expr): void => {
    const dot = low.mutable("dot", num(0));
    low.loop(
      "i",
      k,
      m,
      1,
      (i) => dot.set(bin("add", dot.get(), bin("mul", x.get(i, k), mat.get(i, j)))),
    );
    const twice = low.named("twice", bin("mul", num(2), dot.get()));
    low.loop(
      "i",
      k,
      m,
      1,
      (i) => mat.set(i, j, bin("sub", mat.get(i, j), bin("mul", twice, x.get(i, k)))),
    );
  };
  // Rows known only at run time may be fewer than columns: then there are as many reflectors as rows.
  const count = bin("min", m, int(n));
  low.loop("k", int(0), count, 1, (k) => {
    low.par("one", int(1), () => {
      low.loop("i", k, m, 1, (i) => x.set(i, k, w.get(i, k)));
      const norm = low.named("norm", un("sqrt", squares(w, k)));
      const head = low.named("head", w.get(k, k));
      x.set(k, k, bin("add", head, select(bin("lt", head, num(0)), un("neg", norm), norm)));
      const length = low.named("length", un("sqrt", squares(x, k)));
      const lost = bin("le", length, num(LOST));
      factor.set(
        int(0),
        select(lost, num(0), bin("div", num(1), select(lost, num(1), length))),
      );
    });
    low.par(
      "i",
      bin("sub", m, k),
      (i) => x.set(bin("add", i, k), k, bin("mul", x.get(bin("add", i, k), k), factor.get(int(0)))),
    );
    low.par("j", bin("sub", int(n), k), (j) => reflect(w, k, bin("add", j, k)));
  });
  low.loop("k", int(0), count, 1, (up) => {
    const k = bin("sub", bin("sub", count, int(1)), up);
    low.par("j", int(n), (j) => reflect(q, k, j));
  });
  const [qOut, rOut] = [t.result("q"), t.result("r")];
  const inside = (k: Expr): Expr => bin("min", k, bin("sub", m, int(1)));
  const sign = (k: Expr): Expr =>
    select(bin("lt", w.get(inside(k), inside(k)), num(0)), num(-1), num(1));
  low.par("e", cells, (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    qOut?.(i, j, bin("mul", q.get(i, j), sign(j)));
  });
  low.par("e", int(n * n), (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    const value = bin("mul", bin("mul", w.get(inside(i), j), sign(i)), scale.get(int(0)));
    rOut?.(i, j, select(bin("lt", j, i), num(0), select(bin("le", m, i), num(0), value)));
  });
  return t.finish();
};
