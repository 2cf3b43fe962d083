/**
 * Keys as they were before they were turned by their places (RoPE, arXiv 2104.09864), and back.
 *
 * ```text
 * stored:  (a, b) = pair i of token t, turned back by t·base^(−2i/d)
 * read:    (a cos − b sin, a sin + b cos)
 * ```
 *
 * A cache holds keys after RoPE. Before it, a channel keeps its mean and its size from token to token, which
 * is what statistics along tokens want (KVQuant, arXiv 2401.18079). The part `values` has the first channels
 * of all pairs, then the second ones, whichever channels are a pair.
 *
 * Angles are no part of the cache and cost no bits: a place is a run and a place in it. A row of a table turns
 * to the middle of the run, another one from there, to either side. So places are exact, and angles as good as f32.
 * Places count from the first token that the codec sees, behind the sinks of a window from there, and from 0
 * again after {@link PLACES}: alike in writing and in reading, so that nothing is lost by it.
 * @module
 */
import { broadcast, cast, contractBy, gather, iota, map, reshape, table } from "../core/build.ts";
import { digit, fromMiddle, over, sideOf } from "../core/digits.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { same } from "../core/marks.ts";
import type { Shape, Term } from "../core/term.ts";
import { type Codec, type Factored, identity, VALUES } from "../codec/codec.ts";
import { axesOf } from "./labelled.ts";
import { reorder } from "./reorder.ts";

/** How keys were turned. */
export interface Rope {
  /** The angle of pair i of d channels is its place times base^(−2i/d). */
  readonly base: number;
  /** Which channels are a pair: i and i + d/2, or neighbours 2i and 2i + 1. */
  readonly pairs: "halves" | "neighbours";
}

/** Places are runs, and places within a run. */
const [RUNS, RUN] = [1024, 256];
/** How many they are. */
export const PLACES: number = RUNS * RUN;

/** A cosine and a sine. */
type Turn = readonly [Term, Term];

/** One turn after the other. */
const after = ([c, s]: Turn, [d, t]: Turn): Turn => [
  map("sub", map("mul", c, d), map("mul", s, t)),
  map("add", map("mul", s, d), map("mul", c, t)),
];

/** What takes a turn off: tables are rounded, so that it is longer than 1 by that. */
const inverseOf = ([c, s]: Turn): Turn => {
  const long = map("add", map("mul", c, c), map("mul", s, s));
  return [map("div", c, long), map("div", s, long)];
};

/**
 * Rows of one table, since a device binds few: cosines of half a run, from its middle on, and their sines, which
 * turn to the other side before it; then cosines and sines of the middles of all runs.
 */
const rowsOf = (pairs: number, base: number): Term => {
  const angles = (count: number, place: (i: number) => number): number[] =>
    Array.from(
      { length: count * pairs },
      (_, i) => place(Math.floor(i / pairs)) * base ** (-(i % pairs) / pairs),
    );
  const of = [
    angles(RUN / 2, (i) => i + 1 / 2),
    angles(RUNS, (i) => RUN * i + (RUN - 1) / 2),
  ];
  const values = of.flatMap((own) => [...own.map(Math.cos), ...own.map(Math.sin)]);
  return reshape(table(values), [RUN + 2 * RUNS, pairs]);
};

/** The turns of places, `[…, pairs]` for places of `[…]`. */
const turnsOf = (places: Term, rows: Term): Turn => {
  const turn = (at: Term, start: number, count: number): Turn => {
    const row = (k: number): Term => gather(rows, cast(map("add", at, start + k * count), "u32"));
    return [row(0), row(1)];
  };
  const [within, run] = [digit(places, RUN), digit(over(places, RUN), RUNS)];
  const [c, s] = turn(fromMiddle(within, RUN), 0, RUN / 2);
  const side = broadcast(sideOf(places, RUN), s.shape, places.shape.map((_, i) => i));
  return after([c, map("mul", s, side)], turn(run, RUN, RUNS));
};

/**
 * Keys as they were before RoPE: x = (v₁ cos − v₂ sin | v₁ sin + v₂ cos). Part: `values`, of x's shape, the first
 * channels of all pairs and then the second ones. Inside of `joinHeads` all heads would be one row of pairs:
 * it stands outside of it. arXiv 2104.09864, 2401.18079.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, on, preRope, quantize } from "kvfold";
 * import { pipe } from "kvfold/fp";
 * const channels = quantize({ bits: 2, per: "channel", range: "asymmetric" });
 * const keys = pipe(preRope({ base: 10000, pairs: "halves" }), on("values", channels));
 * ok(bitsOf(keys, [8, "tokens", 128]) === 2);
 * ```
 */
export const preRope = ({ base, pairs: of }: Rope): Factored => {
  const name = `preRope(${base}, ${of})`;
  if (!(base > 0 && Number.isFinite(base))) {
    throw new ValueError(name, `the base ${base} is no positive number`);
  }
  if (of !== "halves" && of !== "neighbours") {
    throw new ValueError(name, `pairs are ${of}, not halves or neighbours`);
  }
  const found = new Map<number, Term>();
  const rows = (half: number): Term => {
    if (!found.has(half)) found.set(half, rowsOf(half, base));
    return found.get(half)!;
  };
  const halfOf = (shape: Shape, batch: number): number => {
    const { channels } = axesOf(name, shape, batch);
    if (channels % 2 === 0) return channels / 2;
    throw new ShapeError(name, `the ${channels} channels of ${shapeText(shape)} are no pairs`);
  };
  /** (a | b) turned by a right angle, (−b | a): as a product, which attention moves to the query. */
  const quarter = (x: Term, half: number): Term => {
    const lead = x.shape.slice(0, -1).map((_, i) => `x${i}`);
    const view: Shape = [2, half, 2, half];
    const [from, pair, to, other] = view.map((_, axis) => iota(view, axis));
    const signs = map("mul", map("sub", to, from), same(pair, other));
    const turn = reshape(signs, [2 * half, 2 * half]);
    return contractBy({ args: [[...lead, "d"], ["d", "e"]], out: [...lead, "e"] }, x, turn);
  };
  /** (a | b) turned by the places of its tokens, or turned back by exactly as much. */
  const turned = (x: Term, half: number, back: boolean): Term => {
    const tokens = x.shape.length - 2;
    const turn = turnsOf(iota([x.shape[tokens]], 0), rows(half));
    const view = [...x.shape.slice(0, -1), 2, half];
    // The same for both channels of a pair, as what repeats: a query is summed over them before it meets it.
    const [c, s] = (back ? inverseOf(turn) : turn)
      .map((t) => reshape(broadcast(t, view, [tokens, tokens + 2]), x.shape));
    return map(back ? "sub" : "add", map("mul", x, c), quarter(map("mul", x, s), half));
  };
  /** First channels of pairs, then second ones: a codec of its own, which attention moves to the query. */
  const sorted = (half: number): Codec =>
    of === "halves"
      ? identity
      : reorder(Array.from({ length: 2 * half }, (_, i) => 2 * (i % half) + Math.floor(i / half)));
  return {
    name,
    encode: (x, batch = 0) => {
      const half = halfOf(x.shape, batch);
      return { [VALUES]: turned(sorted(half).encode(x, batch)[VALUES], half, true) };
    },
    decode: (parts, shape, batch = 0) => {
      const half = halfOf(shape, batch);
      return sorted(half).decode({ [VALUES]: turned(parts[VALUES], half, false) }, shape, batch);
    },
    partShapes: (shape) => ({ [VALUES]: shape }),
  };
};
