/**
 * Random well-typed terms, with sizes and inputs: what every law over terms quantifies over.
 *
 * A term is grown from a list of steps; a step picks operands among the terms grown so far and adds
 * one node (or the few that keep it in range), so a shorter list is a smaller term and fast-check
 * shrinks by dropping steps. A bound on every value is carried along: inputs bite (zeros, ties,
 * outliers, denormals) but nothing overflows f32, and denominators are 0 exactly or far from it.
 * @module
 */
import * as fc from "fast-check";
import { castTo, type DType, DTYPES, isFixedPoint, isPacked } from "../dsl/core/dtype.ts";
import { input } from "../dsl/core/build.ts";
import { countOf, type Sizes } from "../dsl/core/shape.ts";
import { type Dim, type Shape, type Term, topological } from "../dsl/core/term.ts";
import { KINDS } from "./term_kinds.ts";
import { type Dice, type Grown, MOST } from "./term_soil.ts";

/** A random term with what it takes to run it. */
export interface Sample {
  readonly term: Term;
  readonly sizes: Sizes;
  readonly inputs: Record<string, number[]>;
}

const DEEPEST = 7;
const LARGEST = 1e12;

/** Dims a shape is drawn from. */
const DIMS: readonly Dim[] = [1, 2, 3, 4, 6, 8, 16, "t", "n", "h"];
// Fixed-point numbers live in registers: the compiler makes them, a program does not store them.
const DTYPE_NAMES = (Object.keys(DTYPES) as DType[]).filter((d) => !isFixedPoint(d));

const diceOf = (seed: number): Dice => {
  let state = seed >>> 0;
  const real = (): number => {
    state = state + 0x6d2b79f5 >>> 0;
    let x = Math.imul(state ^ state >>> 15, state | 1);
    x ^= x + Math.imul(x ^ x >>> 7, x | 61);
    return ((x ^ x >>> 14) >>> 0) / 2 ** 32;
  };
  const below = (n: number): number => Math.floor(real() * n);
  return {
    real,
    below,
    chance: (p) => real() < p,
    pick: (items) => items[below(items.length)],
    shuffle: (items) => {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [out[i], out[j]] = [out[j], out[i]];
      }
      return out;
    },
  };
};

/** A real that bites. */
const biting = (dice: Dice): number => {
  const sign = dice.chance(0.5) ? -1 : 1;
  const kind = dice.real();
  if (kind < 0.08) return sign * 0;
  if (kind < 0.18) return sign * (dice.below(8) + 0.5);
  if (kind < 0.24) return sign * 1000 * (1 + dice.real());
  if (kind < 0.27) return sign * 1e-40;
  if (kind < 0.3) return sign * 1e-6 * dice.real();
  return sign * 2 * dice.real();
};

/** Values of an input: exactly what its type stores. */
const valuesOf = (dice: Dice, dtype: DType, count: number, limit?: number): number[] => {
  const most = limit ?? (dtype === "u32" ? 1000 : DTYPES[dtype].max + 1);
  const integer = (): number =>
    dtype === "u32" && limit === undefined && dice.chance(0.02) ? 2 ** 24 : dice.below(most);
  const same = dice.chance(0.05);
  const one = (): number =>
    DTYPES[dtype].integer ? integer() : castTo(dtype, Math.fround(biting(dice)));
  const first = one();
  return Array.from({ length: count }, () => same ? first : one());
};

const boundOf = (dtype: DType, limit?: number): number =>
  limit ?? (dtype === "u32" ? 2 ** 25 : isPacked(dtype) ? DTYPES[dtype].max : 2000);

interface Step {
  readonly kind: number;
  readonly seed: number;
}

/** Grows the term of a list of steps. */
const grow = (sizes: Sizes, first: number, steps: readonly Step[]): Sample => {
  const values = new Map<string, number[]>();
  const start = diceOf(first);
  const fresh = (dice: Dice) => (shape: Shape, dtype?: DType, limit?: number): Grown => {
    const drawn = dtype ?? dice.pick<DType>(["f32", "f32", ...DTYPE_NAMES]);
    // Packed rows of a dynamic size are refused by the compiler: not often, so that most terms run.
    const refused = isPacked(drawn) && typeof shape[shape.length - 1] === "string";
    const type = dtype === undefined && refused && dice.chance(0.9) ? "f32" : drawn;
    const name = `x${values.size}`;
    values.set(name, valuesOf(dice, type, countOf(shape, sizes), limit));
    return { term: input(name, shape, type), depth: 0, bound: boundOf(type, limit) };
  };
  const shape = Array.from({ length: start.below(4) }, () => start.pick(DIMS));
  while (countOf(shape, sizes) > MOST / 4) shape.pop();
  const pool = [fresh(start)(shape)];
  for (const { kind, seed } of steps) {
    const dice = diceOf(seed);
    const soil = { dice, sizes, pool, fresh: fresh(dice), dim: (): Dim => dice.pick(DIMS) };
    const grown = KINDS[kind % KINDS.length](soil);
    if (grown === undefined || grown.depth > DEEPEST || grown.bound > LARGEST) continue;
    if (countOf(grown.term.shape, sizes) <= MOST) pool.push(grown);
  }
  const { term } = pool[pool.length - 1];
  const used = topological([term]).flatMap((t) => t.tag === "input" ? [t.name] : []);
  return { term, sizes, inputs: Object.fromEntries(used.map((n) => [n, values.get(n)!])) };
};

/** Sizes of the named dims: one, powers of two and ragged ones. */
const sizesArb: fc.Arbitrary<Sizes> = fc.record({
  t: fc.constantFrom(1, 2, 3, 7, 17, 33),
  n: fc.constantFrom(1, 3, 8, 17),
  h: fc.constantFrom(1, 2, 3),
});

/** A random well-typed term of every node kind except `routine`. */
export const termArb = (): fc.Arbitrary<Sample> =>
  fc.record({
    sizes: sizesArb,
    first: fc.nat(),
    steps: fc.array(fc.record({ kind: fc.nat(KINDS.length - 1), seed: fc.nat() }), {
      minLength: 1,
      maxLength: 12,
    }),
  }).map(({ sizes, first, steps }) => grow(sizes, first, steps));
