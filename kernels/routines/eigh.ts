/**
 * Eigenvectors and eigenvalues of a symmetric matrix by parallel two-sided Jacobi: in each round
 * disjoint pairs of columns, then the same pairs of rows, are rotated at once.
 * @module
 */
import { bin, int, num, un } from "../../compiler/ir/expr.ts";
import type { Skeleton } from "../../compiler/kernel.ts";
import { bench, eachRound, identityAt, largest, pairOf, rankOf, rotation } from "./common.ts";

/** The skeleton. */
export const eighSkeleton: Skeleton = (plan, context) => {
  const t = bench(plan, context);
  const { b, n } = t;
  const { low } = b;
  const pairs = Math.ceil(n / 2);
  const scale = t.shared("scale", 1);
  const turn = t.shared("turn", 2 * pairs);
  const order = t.shared("order", n);
  const [s, v] = [t.work("sym", n, n), t.work("vec", n, n)];
  largest(t, (x) => scale.set(int(0), x));
  low.par("e", int(n * n), (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    const mean = bin(
      "mul",
      num(0.5),
      bin(
        "add",
        bin("div", t.arg(i, j), scale.get(int(0))),
        bin("div", t.arg(j, i), scale.get(int(0))),
      ),
    );
    s.set(i, j, mean);
    v.set(
      i,
      j,
      identityAt(i, j),
    );
  });
  eachRound(t, (r) => {
    low.par("k", int(pairs), (k) => {
      const { p, q, real } = pairOf(n, r, k);
      low.when(real, () => {
        const z = low.named("z", s.get(p, q));
        const { c, s: sine } = rotation(
          s.get(p, p),
          s.get(q, q),
          z,
          bin("le", un("abs", z), num(1e-30)),
        );
        turn.set(bin("mul", k, int(2)), c);
        turn.set(bin("add", bin("mul", k, int(2)), int(1)), sine);
      });
    });
    const turned = (
      rotate: (p: typeof r, q: typeof r, i: typeof r, c: typeof r, sine: typeof r) => void,
    ): void =>
      low.par("k", int(pairs * n), (e) => {
        const [k, i] = [bin("div", e, int(n)), bin("rem", e, int(n))];
        const { p, q, real } = pairOf(n, r, k);
        low.when(real, () => {
          const c = low.named("c", turn.get(bin("mul", k, int(2))));
          const sine = low.named("s", turn.get(bin("add", bin("mul", k, int(2)), int(1))));
          rotate(p, q, i, c, sine);
        });
      });
    turned((p, q, i, c, sine) => {
      for (const mat of [s, v]) {
        const [x, y] = [low.named("x", mat.get(i, p)), low.named("y", mat.get(i, q))];
        mat.set(i, p, bin("sub", bin("mul", c, x), bin("mul", sine, y)));
        mat.set(i, q, bin("add", bin("mul", sine, x), bin("mul", c, y)));
      }
    });
    turned((p, q, i, c, sine) => {
      const [x, y] = [low.named("x", s.get(p, i)), low.named("y", s.get(q, i))];
      s.set(p, i, bin("sub", bin("mul", c, x), bin("mul", sine, y)));
      s.set(q, i, bin("add", bin("mul", sine, x), bin("mul", c, y)));
    });
  });
  low.par("j", int(n), (j) => order.set(j, un("toF32", rankOf(b, n, (i) => s.get(i, i), j))));
  const [values, vectors] = [t.result("values"), t.result("vectors")];
  low.par("e", int(n * n), (e) => {
    const [i, j] = [bin("div", e, int(n)), bin("rem", e, int(n))];
    const to = low.named("to", un("toI32", order.get(j)));
    vectors?.(i, to, v.get(i, j));
    low.when(
      bin("eq", i, int(0)),
      () => values?.(to, int(0), bin("mul", s.get(j, j), scale.get(int(0)))),
    );
  });
  return t.finish();
};
