/**
 * Reductions over a small static box, written out in registers: the last axis four at a time where
 * it can, long ones as a loop.
 * @module
 */
import { bin, type Expr, int, madd, un, variable } from "../ir/expr.ts";
import type { Writer } from "./writer.ts";

type Index = readonly Expr[];

/** Steps of a reduction that are written out; longer ones become a loop. */
const UNROLL = 40;

/** A reduction in registers: the first element, the next ones, two partial results, the lanes. */
export interface Combine<E> {
  readonly first: (e: E) => Expr;
  readonly next: (acc: Expr, e: E) => Expr;
  readonly join: "add" | "max" | "min";
  readonly across: "hsum" | "hmax" | "hmin";
}

const simple = (join: "add" | "max" | "min", across: Combine<Expr>["across"]): Combine<Expr> => ({
  first: (e) => e,
  next: (acc, e) => bin(join, acc, e),
  join,
  across,
});

/** The joins of folds. */
export const COMBINE: Record<"sum" | "max" | "min", Combine<Expr>> = {
  sum: simple("add", "hsum"),
  max: simple("max", "hmax"),
  min: simple("min", "hmin"),
};

/** Sums of products. */
export const PRODUCTS: Combine<readonly [Expr, Expr]> = {
  first: ([a, b]) => bin("mul", a, b),
  next: (acc, [a, b]) => madd(a, b, acc),
  join: "add",
  across: "hsum",
};

/** Runs a reduction over a static box: the last axis four at a time where it can. */
export const reduceBox = <E>(
  low: Writer,
  sizes: readonly number[],
  combine: Combine<E>,
  element: (box: Index, wide: boolean) => E | undefined,
  across = true,
): Expr => {
  if (low.symbolic) {
    const box = sizes.map((n) => variable(low.name("in"), "i32", { lo: 0, hi: n - 1 }));
    return combine.first(element(box, false)!);
  }
  const last = sizes[sizes.length - 1] ?? 1;
  const probe = sizes.map(() => int(0));
  const wide = last % 4 === 0 && element(probe, true) !== undefined;
  const steps = sizes.slice(0, -1).reduce((n, d) => n * d, last / (wide ? 4 : 1));
  const inner = wide ? last / 4 : last;
  const boxAt = (step: Expr): Expr[] => {
    const box: Expr[] = [bin("mul", bin("rem", step, int(inner)), int(wide ? 4 : 1))];
    let rest = bin("div", step, int(inner));
    for (let i = sizes.length - 2; i >= 0; i--) {
      box.unshift(bin("rem", rest, int(sizes[i])));
      rest = bin("div", rest, int(sizes[i]));
    }
    return sizes.length === 0 ? [] : box;
  };
  const finish = (e: Expr): Expr => wide && across ? un(combine.across, e) : e;
  if (steps <= UNROLL) {
    // Two chains, so that one addition does not wait for the other.
    const chains: Expr[] = [];
    for (let s = 0; s < steps; s++) {
      const e = element(boxAt(int(s)), wide)!;
      chains[s % 2] = chains.length <= s % 2 ? combine.first(e) : combine.next(chains[s % 2], e);
    }
    return finish(chains.reduce((a, b) => bin(combine.join, a, b)));
  }
  const first = element(boxAt(int(0)), wide)!;
  const acc = low.mutable("acc", combine.first(first));
  low.loop(
    "r",
    int(1),
    int(steps),
    1,
    (s) => acc.set(combine.next(acc.get(), element(boxAt(s), wide)!)),
  );
  return finish(acc.get());
};
