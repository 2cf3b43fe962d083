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

/** How a static box is walked: the last axis four at a time where it can be. */
interface Walk<E> {
  readonly wide: boolean;
  readonly steps: number;
  /** The element of a step. */
  readonly at: (step: Expr) => E;
}

const walkOf = <E>(
  sizes: readonly number[],
  element: (box: Index, wide: boolean) => E | undefined,
): Walk<E> => {
  const last = sizes[sizes.length - 1] ?? 1;
  // Wide everywhere or nowhere: one step along an outer axis may leave the places where four can be read.
  const starts = [-1, ...sizes.slice(0, -1).flatMap((n, i) => n > 1 ? [i] : [])];
  const wide = last % 4 === 0 &&
    starts.every((at) => element(sizes.map((_, i) => int(i === at ? 1 : 0)), true) !== undefined);
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
  return {
    wide,
    steps: sizes.slice(0, -1).reduce((n, d) => n * d, inner),
    at: (step) => element(boxAt(step), wide)!,
  };
};

/** Steps of a long walk that are written out in one turn of its loop: their indices are simple then. */
const turnOf = (steps: number): number =>
  Array.from({ length: UNROLL }, (_, i) => UNROLL - i).find((n) => steps % n === 0)!;

/** Steps of a walk that are written out in one turn. */
const writtenOut = <E>({ wide, steps }: Walk<E>): number =>
  steps <= UNROLL ? steps : wide ? turnOf(steps) : 1;

/** Every step from `first` on, written out or as a loop with as many written out in a turn as divide it. */
const others = <E>(
  low: Writer,
  walk: Walk<E>,
  step: (e: E, place: number) => void,
  first = 1,
): void => {
  const { steps, at } = walk;
  const turn = writtenOut(walk);
  for (let s = first; s < turn; s++) step(at(int(s)), s);
  if (turn === steps) return;
  low.loop("r", int(1), int(steps / turn), 1, (r) => {
    for (let s = 0; s < turn; s++) step(at(bin("add", bin("mul", r, int(turn)), int(s))), s);
  });
};

/** Every element of a static box, written out or as a loop with as many written out in a turn as divide it. */
export const eachElement = <E>(
  low: Writer,
  sizes: readonly number[],
  element: (box: Index, wide: boolean) => E | undefined,
  step: (e: E, turn: number) => void,
): void => {
  const { steps, at } = walkOf(sizes, element);
  const turn = turnOf(steps);
  const turns = (from: Expr): void => {
    for (let s = 0; s < turn; s++) step(at(bin("add", from, int(s))), s);
  };
  if (turn === steps) turns(int(0));
  else low.loop("r", int(0), int(steps / turn), 1, (r) => turns(bin("mul", r, int(turn))));
};

/**
 * Several reductions of the same elements in one walk; four partial results each where lanes run along
 * the box.
 */
export const reduceTogether = (
  low: Writer,
  sizes: readonly number[],
  combines: readonly Combine<Expr>[],
  element: (box: Index, wide: boolean) => Expr | undefined,
): Expr[] => {
  const walk = walkOf(sizes, element);
  const first = low.named("x", walk.at(int(0)));
  const accs = combines.map((c) => low.mutable("acc", c.first(first)));
  others(low, walk, (e) => accs.forEach((acc, i) => acc.set(combines[i].next(acc.get(), e))));
  return accs.map((acc) => low.named("part", acc.get()));
};

/**
 * Several reductions over one box, step by step side by side: what they share is read once a step, and
 * few values are alive at a time. Each is made of up to `chains` sums, so that none waits for itself.
 * Results are partial sums of lanes, or single values.
 */
export const reduceSideBySide = <E>(
  low: Writer,
  sizes: readonly number[],
  combine: Combine<E>,
  elements: readonly ((box: Index, wide: boolean) => E | undefined)[],
  chains = 1,
): Expr[] => {
  const walk = walkOf(sizes, (box, wide) => {
    const all = elements.map((element) => element(box, wide));
    return all.every((e) => e !== undefined) ? all as E[] : undefined;
  });
  const turn = writtenOut(walk);
  const many = turn % chains === 0 ? chains : 1;
  const sums = Array.from(
    { length: many },
    (_, s) => walk.at(int(s)).map((e) => low.mutable("acc", combine.first(e))),
  );
  others(low, walk, (all, s) =>
    all.forEach((e, i) => {
      const cell = sums[s % many][i];
      cell.set(combine.next(cell.get(), e));
    }), many);
  return elements.map((_, i) =>
    sums.map((cells) => cells[i].get()).reduce((a, x) => bin(combine.join, a, x))
  );
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
  const walk = walkOf(sizes, element);
  const finish = (e: Expr): Expr => walk.wide && across ? un(combine.across, e) : e;
  if (walk.steps <= UNROLL) {
    // Two chains, so that one addition does not wait for the other.
    const chains: Expr[] = [];
    for (let s = 0; s < walk.steps; s++) {
      const e = walk.at(int(s));
      chains[s % 2] = chains.length <= s % 2 ? combine.first(e) : combine.next(chains[s % 2], e);
    }
    return finish(chains.reduce((a, b) => bin(combine.join, a, b)));
  }
  const acc = low.mutable("acc", combine.first(walk.at(int(0))));
  others(low, walk, (e) => acc.set(combine.next(acc.get(), e)));
  return finish(acc.get());
};
