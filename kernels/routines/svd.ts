/**
 * Singular value decomposition of a tall matrix by parallel one-sided Jacobi (Hestenes): disjoint
 * pairs of columns are made orthogonal at once. A = U diag(s) Vᵀ, s descending; columns of U whose
 * singular value drowns in rounding are 0.
 * @module
 */
import { bin, type Expr, int, num, select, un } from "../../compiler/ir/expr.ts";
import type { Skeleton } from "../../compiler/kernel.ts";
import { bench, eachRound, identityAt, largest, pairOf, rankOf, rotation } from "./common.ts";

const EPS = 2 ** -23;

/** The skeleton. */
export const svdSkeleton: Skeleton = (plan, context) => {
  const t = bench(plan, context);
  const { b, n, m } = t;
  const { low } = b;
  const [root] = plan.roots;
  const rows = (root.tag === "routine" ? root.args[0] : root).shape.slice(-2)[0];
  const pairs = Math.ceil(n / 2);
  const scale = t.shared("scale", 2);
  const turn = t.shared("turn", 2 * pairs);
  const order = t.shared("order", n);
  const norms = t.shared("norm", n);
  const [w, v] = [t.work("left", rows, n), t.work("right", n, n)];
  largest(t, (x) => scale.set(int(0), x));
  const count = bin("mul", m, int(n));
  low.par("e", count, (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    w.set(i, j, bin("div", t.arg(i, j), scale.get(int(0))));
  });
  low.par("e", int(n * n), (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    v.set(
      i,
      j,
      identityAt(i, j),
    );
  });
  const dot = (p: Expr, q: Expr): Expr => {
    const sum = low.mutable("dot", num(0));
    low.loop(
      "i",
      int(0),
      m,
      1,
      (i) => sum.set(bin("add", sum.get(), bin("mul", w.get(i, p), w.get(i, q)))),
    );
    return sum.get();
  };
  // Columns below rounding of the whole matrix are left alone: a rank-deficient matrix would never settle.
  low.par("one", int(1), () => {
    const sum = low.mutable("all", num(0));
    low.loop("j", int(0), int(n), 1, (j) => sum.set(bin("add", sum.get(), dot(j, j))));
    scale.set(int(1), bin("mul", sum.get(), num(EPS * EPS)));
  });
  eachRound(t, (r) => {
    low.par("k", int(pairs), (k) => {
      const { p, q, real } = pairOf(n, r, k);
      low.when(real, () => {
        const [x, y, z] = [
          low.named("x", dot(p, p)),
          low.named("y", dot(q, q)),
          low.named("z", dot(p, q)),
        ];
        const small = bin("le", bin("min", x, y), scale.get(int(1)));
        const apart = bin(
          "le",
          un("abs", z),
          bin("mul", num(EPS / 8), un("sqrt", bin("mul", x, y))),
        );
        const skip = low.named("skip", select(small, num(1), select(apart, num(1), num(0))));
        const { c, s } = rotation(x, y, z, bin("lt", num(0.5), skip));
        turn.set(bin("mul", k, int(2)), c);
        turn.set(bin("add", bin("mul", k, int(2)), int(1)), s);
      });
    });
    for (const [mat, size] of [[w, m], [v, int(n)]] as const) {
      low.par("k", bin("mul", int(pairs), size), (e) => {
        const [k, i] = [bin("div", e, size), bin("rem", e, size)];
        const { p, q, real } = pairOf(n, r, k);
        low.when(real, () => {
          const c = low.named("c", turn.get(bin("mul", k, int(2))));
          const s = low.named("s", turn.get(bin("add", bin("mul", k, int(2)), int(1))));
          const [x, y] = [low.named("x", mat.get(i, p)), low.named("y", mat.get(i, q))];
          mat.set(i, p, bin("sub", bin("mul", c, x), bin("mul", s, y)));
          mat.set(i, q, bin("add", bin("mul", s, x), bin("mul", c, y)));
        });
      });
    }
  });
  low.par("j", int(n), (j) => norms.set(j, un("sqrt", dot(j, j))));
  low.par("j", int(n), (j) => order.set(j, un("toF32", rankOf(b, n, (i) => norms.get(i), j))));
  const [u, s, right] = [t.result("u"), t.result("s"), t.result("v")];
  low.par("e", count, (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    const norm = low.named("norm", norms.get(j));
    const lost = bin("le", bin("mul", norm, norm), scale.get(int(1)));
    u?.(
      i,
      un("toI32", order.get(j)),
      select(lost, num(0), bin("div", w.get(i, j), select(lost, num(1), norm))),
    );
  });
  low.par("e", int(n * n), (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    const to = low.named("to", un("toI32", order.get(j)));
    right?.(i, to, v.get(i, j));
    low.when(
      bin("eq", i, int(0)),
      () => s?.(to, int(0), bin("mul", norms.get(j), scale.get(int(0)))),
    );
  });
  return t.finish();
};
