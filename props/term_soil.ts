/**
 * What growing a random term stands on: dice, the terms grown so far, and new inputs.
 * @module
 */
import * as B from "../dsl/core/build.ts";
import type { DType } from "../dsl/core/dtype.ts";
import { sizeOf, type Sizes } from "../dsl/core/shape.ts";
import type { Dim, Shape, Term } from "../dsl/core/term.ts";

/** Random numbers of one step, from its seed alone. */
export interface Dice {
  /** In [0, 1). */
  readonly real: () => number;
  /** An integer in [0, n). */
  readonly below: (n: number) => number;
  /** True with probability p. */
  readonly chance: (p: number) => boolean;
  /** One of the items. */
  readonly pick: <A>(items: readonly A[]) => A;
  /** The items in another order. */
  readonly shuffle: <A>(items: readonly A[]) => A[];
}

/** A term with its depth and a bound on its values. */
export interface Grown {
  readonly term: Term;
  readonly depth: number;
  readonly bound: number;
}

/** What a step may use. */
export interface Soil {
  readonly dice: Dice;
  readonly sizes: Sizes;
  /** Terms grown so far; never empty. */
  readonly pool: readonly Grown[];
  /** A new input; with `limit`, of values 0 … limit − 1. */
  readonly fresh: (shape: Shape, dtype?: DType, limit?: number) => Grown;
  /** A dim: a number or a name. */
  readonly dim: () => Dim;
}

/** Elements a node may have, and products a contraction may sum. */
export const MOST = 2000;

/** A way to grow a term; undefined where no operand fits. */
export type Kind = (soil: Soil) => Grown | undefined;

/** Size of a dim of the sample. */
export const dimOf = (soil: Soil, dim: Dim): number => sizeOf(dim, soil.sizes);

/** A term made of others. */
export const grown = (term: Term, bound: number, ...from: readonly Grown[]): Grown => ({
  term,
  bound,
  depth: 1 + Math.max(0, ...from.map((f) => f.depth)),
});

/** A term grown before, mostly one of the last. */
export const before = ({ dice, pool }: Soil): Grown =>
  dice.chance(0.7) ? pool[pool.length - 1] : pool[dice.below(pool.length)];

/** A second operand of a shape: one grown before that fits, or a new input; sometimes of fewer axes. */
export const partner = (soil: Soil, shape: Shape): Grown => {
  const wanted = soil.dice.chance(0.3) ? shape.slice(soil.dice.below(shape.length + 1)) : shape;
  const fits = soil.pool.filter((g) => g.term.shape.join() === wanted.join());
  return fits.length > 0 && soil.dice.chance(0.6) ? soil.dice.pick(fits) : soil.fresh(wanted);
};

/** A term held within ± most. */
export const clamped = (g: Grown, most: number): Grown =>
  g.bound <= most
    ? g
    : { ...g, term: B.map("max", B.map("min", g.term, most), -most), bound: most };
