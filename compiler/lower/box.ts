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

/** Steps over a box: single places, or four along its last axis. */
const stepsOf = (
  sizes: readonly number[],
  lies: (probe: Index) => boolean,
): { wide: boolean; steps: number; boxAt: (step: Expr) => Expr[] } => {
  const last = sizes[sizes.length - 1] ?? 1;
  const wide = last % 4 === 0 && lies(sizes.map(() => int(0)));
  const inner = wide ? last / 4 : last;
  return {
    wide,
    steps: sizes.slice(0, -1).reduce((n, d) => n * d, inner),
    boxAt: (step) => {
      const box: Expr[] = [bin("mul", bin("rem", step, int(inner)), int(wide ? 4 : 1))];
      let rest = bin("div", step, int(inner));
      for (let i = sizes.length - 2; i >= 0; i--) {
        box.unshift(bin("rem", rest, int(sizes[i])));
        rest = bin("div", rest, int(sizes[i]));
      }
      return sizes.length === 0 ? [] : box;
    },
  };
};

/**
 * Several reductions over one box, step by step side by side: what they share is read once a step, and
 * few values are alive at a time. Results are partial sums of lanes, or single values.
 */
export const reduceTogether = <E>(
  low: Writer,
  sizes: readonly number[],
  combine: Combine<E>,
  elements: readonly ((box: Index, wide: boolean) => E | undefined)[],
): Expr[] => {
  const { wide, steps, boxAt } = stepsOf(
    sizes,
    (probe) => elements.every((element) => element(probe, true) !== undefined),
  );
  const cells = elements.map((element) =>
    low.mutable("acc", combine.first(element(boxAt(int(0)), wide)!))
  );
  const step = (s: Expr): void =>
    cells.forEach((cell, i) => cell.set(combine.next(cell.get(), elements[i](boxAt(s), wide)!)));
  if (steps <= UNROLL) { for (let s = 1; s < steps; s++) step(int(s)); }
  else low.loop("r", int(1), int(steps), 1, step);
  return cells.map((cell) => cell.get());
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
  const { wide, steps, boxAt } = stepsOf(sizes, (probe) => element(probe, true) !== undefined);
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
