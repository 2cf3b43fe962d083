/**
 * Long products of a score, q·k: once a token, four tokens at a time.
 *
 * ```text
 * for each place (a row, say) and four tokens:   four partial sums a token   → lanes added → four products
 * ```
 * Places go side by side and meet the same keys while these are in registers. Where a score reads a single
 * product, they are made for the whole part first.
 * @module
 */
import type { Term, TermOf } from "../../dsl/core/term.ts";
import {
  across4,
  type Arr,
  bin,
  type Expr,
  int,
  lanesOf,
  load,
  num,
  un,
  vec4,
} from "../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../compiler/kernel.ts";
import { contractTogether } from "../../compiler/lower/reductions.ts";
import { bytesOf } from "../../compiler/lower/chunk.ts";
import { fixedProduct, fixedSums } from "../../compiler/lower/fixed.ts";
import { linear } from "../../compiler/lower/memory.ts";
import { type HeldAxes, heldCount } from "../../compiler/lower/row.ts";
import { type Frame, quads, type Stream } from "./shape.ts";
import { LANES, type Step } from "./tokens.ts";

/** A product that is made once a token, and its axes. */
export interface Moving {
  readonly term: Term & TermOf<"contract">;
  readonly axes: HeldAxes & { readonly token: number };
}

/** The products of a plan. */
export const movingOf = (plan: Plan): Moving[] =>
  [...plan.moving].map(([term, axes]) => ({ term: term as Moving["term"], axes }));

/** Terms of one product. */
const contractedCount = ({ labels, args }: Moving["term"]): number => {
  const gone = new Set(labels.args.flat().filter((l) => !labels.out.includes(l)));
  const sizes = [...gone].map((l) => {
    const arg = labels.args.findIndex((axis) => axis.includes(l));
    return args[arg].shape[labels.args[arg].indexOf(l)] as number;
  });
  return sizes.reduce((n, d) => n * d, 1);
};

/** Are its terms products of codes with a staged operand of integers? */
export const isInteger = (plan: Plan, { term }: Moving): boolean => {
  const integers = fixedProduct(term);
  return integers !== undefined && plan.axes.has(term.args[integers.fixed]);
};

/** Lane sums of four partial results. */
const acrossLanes = (sums: readonly Expr[]): Expr =>
  !sums.every((s) => lanesOf(s.type))
    ? vec4(sums)
    : sums[0].type === "i32x4"
    ? un("toF32", across4("hsum", sums))
    : across4("hsum", sums);

/** The index of a product from what is held of it: the rest is what the group works on. */
const indexOf = (
  frame: Frame,
  { term, axes }: Moving,
  token: Expr,
  held: (axis: number) => Expr,
): Expr[] =>
  term.shape.map((_, a) =>
    a === axes.token ? token : axes.held.includes(a) ? held(a) : frame.outer[axes.rowOf[a]!]
  );

/** Sums that hide how long an addition takes. */
const CHAINS = 8;

/**
 * Bytes of a row of keys that are met a piece at a time, in turns with those of other tokens. Longer rows are
 * read one after the other: the processor reads ahead of what it sees to be one walk.
 */
const SHORT_ROW = 256;

/** Products of numbers at indices of four tokens, `places` each: as many tokens in turns as registers hold. */
const floatSums = (
  b: Builder,
  term: Moving["term"],
  all: readonly (readonly Expr[])[],
  places: number,
): Expr[] => {
  const { low } = b;
  if (!b.serial) return contractTogether(low, term, all);
  const contracted = contractedCount(term);
  const bytes = Math.max(...term.args.map((t) => contracted * bytesOf(t, low.sources)));
  const many = bytes > SHORT_ROW ? places : places * Math.max(1, Math.floor(CHAINS / places));
  const chains = Math.max(1, Math.min(2, Math.floor(CHAINS / many)));
  const out: Expr[] = [];
  for (let at = 0; at < all.length; at += many) {
    out.push(...contractTogether(low, term, all.slice(at, at + many), chains));
  }
  return out;
};

/** Products at several indices, each for four tokens. */
export const fourProducts = (
  b: Builder,
  plan: Plan,
  moving: Moving,
  indices: readonly (readonly Expr[])[],
  tokens: readonly Expr[],
): Expr[] => {
  const { low } = b;
  const { term, axes } = moving;
  const at = (index: readonly Expr[], token: Expr): Expr[] =>
    index.map((x, a) => a === axes.token ? token : x);
  // An operand that changes with the token is not staged: such a product is made of numbers.
  const fixed = isInteger(plan, moving) ? fixedProduct(term) : undefined;
  const products = (some: readonly (readonly Expr[])[]): Expr[] => {
    const all = tokens.flatMap((token) => some.map((index) => at(index, token)));
    const sums = fixed === undefined
      ? floatSums(b, term, all, some.length)
      : fixedSums(low, term, fixed, all);
    return some.map((_, i) => acrossLanes(LANES.map((k) => sums[k * some.length + i])));
  };
  if (fixed === undefined) return products(indices);
  // Those that meet other codes wait until these are done: fewer sums are held at a time.
  const met = term.labels.args[1 - fixed.fixed];
  const keyOf = (index: readonly Expr[]): string =>
    term.labels.out.flatMap((l, a) => met.includes(l) ? [index[a].id] : []).join();
  const made = new Map<readonly Expr[], Expr>();
  for (const key of new Set(indices.map(keyOf))) {
    const some = indices.filter((index) => keyOf(index) === key);
    products(some).forEach((four, i) => made.set(some[i], low.named("raw", four)));
  }
  return indices.map((index) => made.get(index)!);
};

/** Products of a part in group memory. */
export interface HeldProduct {
  readonly moving: Moving;
  /** Stores four tokens, from t on, of a place. */
  readonly store: (place: Expr, t: Expr, four: Expr) => void;
  /** From now on the product is read from memory. */
  readonly read: () => void;
}

/** Where a product of an index lies among those of one token. */
const placeOf = ({ term, axes }: Moving, index: readonly Expr[]): Expr =>
  linear(axes.held.map((a) => int(term.shape[a] as number)), axes.held.map((a) => index[a]));

/** Memory for a product of a part. */
export const holdProduct = (
  b: Builder,
  frame: Frame,
  { chunk }: Stream,
  moving: Moving,
): HeldProduct => {
  const { low } = b;
  const { term, axes } = moving;
  const arr: Arr = b.local("raw", heldCount(term, axes) * chunk);
  const at = (place: Expr, token: Expr): Expr => bin("add", bin("mul", place, int(chunk)), token);
  return {
    moving,
    store: (place, t, four) => low.store(arr, at(place, t), four),
    read: () =>
      low.sources.set(term, {
        // One token may be any of four: it is the one that is asked for, not where the four begin.
        at: (index) =>
          load(arr, at(placeOf(moving, index), bin("sub", index[axes.token], frame.first))),
        wide: (index, axis) =>
          axis === axes.token
            ? load(arr, at(placeOf(moving, index), frame.here.t), true)
            : undefined,
      }),
  };
};

/** Makes a product for every token of the part, and holds it. */
export const makeProduct = (
  b: Builder,
  plan: Plan,
  frame: Frame,
  stream: Stream,
  moving: Moving,
  decode: (t: Expr) => void,
): void => {
  const { low } = b;
  const { term, axes } = moving;
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const { store, read } = holdProduct(b, frame, stream, moving);
  low.sources.delete(term);
  low.loop("q", int(0), quads(frame), 1, (q) => {
    const t = bin("mul", q, int(4));
    const tokens = LANES.map((k) =>
      low.named("token", bin("min", bin("add", frame.first, bin("add", t, int(k))), frame.last))
    );
    decode(t);
    for (let h = 0; h < heldCount(term, axes); h++) {
      const inside = unravel(int(h), dims);
      const index = indexOf(frame, moving, tokens[0], (a) => inside[axes.held.indexOf(a)]);
      const [four] = fourProducts(b, plan, moving, [index], tokens);
      store(int(h), t, four);
    }
  });
  read();
};

/** At which indices `read` reads four neighbouring products, by product; nothing where it reads one. */
export const readsOf = (
  b: Builder,
  movings: readonly Moving[],
  read: () => void,
): Map<Moving, (readonly Expr[])[] | undefined> => {
  const { low } = b;
  const reads = new Map<Moving, (readonly Expr[])[] | undefined>();
  const [one, four] = [num(0), un("splat", num(0))];
  for (const moving of movings) {
    const { term, axes } = moving;
    reads.set(moving, []);
    low.sources.set(term, {
      at: () => {
        reads.set(moving, undefined);
        return one;
      },
      wide: (index, axis) => {
        if (axis !== axes.token) return undefined;
        reads.get(moving)?.push(index);
        return four;
      },
    });
  }
  low.inBlock(read);
  movings.forEach(({ term }) => low.sources.delete(term));
  return reads;
};

/**
 * Makes the products of a step's tokens side by side, for `read` to find in registers; those that are
 * read again later are held as well.
 */
export const productsAt = (
  b: Builder,
  plan: Plan,
  frame: Frame,
  { t, tokens }: Step,
  movings: readonly Moving[],
  held: readonly HeldProduct[],
  read: () => void,
): void => {
  const { low } = b;
  const single = (): never => {
    throw new Error("a single product is not in registers");
  };
  for (const [moving, indices] of readsOf(b, movings, read)) {
    // Where a read only asks whether four lie side by side, it asks for no group in particular.
    const places = new Map(
      (indices ?? single()).map((index) => [
        placeOf(moving, index),
        indexOf(frame, moving, tokens[0], (a) => index[a]),
      ]),
    );
    const fours = fourProducts(b, plan, moving, [...places.values()], tokens);
    const made = new Map([...places.keys()].map((p, i) => [p, low.named("raw", fours[i])]));
    const memory = held.find((h) => h.moving === moving);
    const at = bin("add", frame.from, t);
    if (memory !== undefined) made.forEach((four, place) => memory.store(place, at, four));
    low.sources.set(moving.term, {
      at: single,
      wide: (index, axis) =>
        axis === moving.axes.token ? made.get(placeOf(moving, index)) : undefined,
    });
  }
};
