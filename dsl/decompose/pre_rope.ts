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
 * Angles are no part of the cache and cost no bits: the place t is three digits of {@link DIGIT}, each turns by a row
 * of a table, and turns of one pair follow one another. So a place is exact, and an angle as good as f32.
 * Places count from the first token that the codec sees: behind the sinks of a window they count from there,
 * in writing and in reading alike.
 * @module
 */
import { broadcast, cast, gather, iota, map, permute, reshape, table } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { concat, slice } from "../core/pieces.ts";
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

/** Places are numbers of this base. */
const DIGIT = 128;
/** Digits of a place: two million tokens. */
const DIGITS = 3;

/** A cosine and a sine. */
type Turn = readonly [Term, Term];

/** One turn after the other. */
const after = ([c, s]: Turn, [d, t]: Turn): Turn => [
  map("sub", map("mul", c, d), map("mul", s, t)),
  map("add", map("mul", s, d), map("mul", c, t)),
];

/**
 * Rows of one table for every digit: cosines of its 128 values, then sines. One table, since a device binds few.
 */
const rowsOf = (pairs: number, base: number): Term => {
  const angles = Array.from({ length: DIGITS }, (_, k) =>
    Array.from(
      { length: DIGIT * pairs },
      (_, i) => DIGIT ** k * Math.floor(i / pairs) * base ** (-(i % pairs) / pairs),
    ));
  const values = angles.flatMap((of) => [...of.map(Math.cos), ...of.map(Math.sin)]);
  return reshape(table(values), [2 * DIGITS * DIGIT, pairs]);
};

/** The turns of places, `[…, pairs]` for places of `[…]`. */
const turnsOf = (places: Term, pairs: number, base: number): Turn => {
  const rows = rowsOf(pairs, base);
  /** The whole part of a place over n. Nothing is rounded: a half is never between. */
  const over = (n: number): Term =>
    n === 1 ? places : map("rint", map("sub", map("div", places, n), (n - 1) / (2 * n)));
  const turns = Array.from({ length: DIGITS }, (_, k): Turn => {
    const step = DIGIT ** k;
    const digit = map("sub", over(step), map("mul", over(step * DIGIT), DIGIT));
    const row = (side: number): Term =>
      gather(rows, cast(map("add", digit, (2 * k + side) * DIGIT), "u32"));
    return [row(0), row(1)];
  });
  return turns.reduce(after);
};

/** The codec of keys before RoPE, one part; see the head of the file. */
export const preRope = ({ base, pairs: of }: Rope): Factored => {
  const name = `preRope(${base}, ${of})`;
  if (!(base > 0 && Number.isFinite(base))) {
    throw new ValueError(name, `the base ${base} is no positive number`);
  }
  const halfOf = (shape: Shape, batch: number): number => {
    const { channels } = axesOf(name, shape, batch);
    if (channels % 2 === 0) return channels / 2;
    throw new ShapeError(name, `the ${channels} channels of ${shapeText(shape)} are no pairs`);
  };
  /** Both sides turned by the places of their tokens, or turned back by exactly as much. */
  const turned = (sides: readonly [Term, Term], back: boolean): readonly [Term, Term] => {
    const [a, b] = sides;
    const tokens = a.shape.length - 2;
    const half = a.shape[tokens + 1] as number;
    const [cos, sin] = turnsOf(iota([a.shape[tokens]], 0), half, base);
    // Tables are rounded, so that a turn is longer than 1 by that; what is taken off when keys are stored.
    const long = map("add", map("mul", cos, cos), map("mul", sin, sin));
    const [c, s] = (back ? [map("div", cos, long), map("div", sin, long)] : [cos, sin])
      .map((t) => broadcast(t, a.shape, [tokens, tokens + 1]));
    const [ac, as, bc, bs] = [[a, c], [a, s], [b, c], [b, s]].map(([x, y]) => map("mul", x, y));
    return back
      ? [map("add", ac, bs), map("sub", bc, as)]
      : [map("sub", ac, bs), map("add", as, bc)];
  };
  /** First channels of pairs, then second ones: a codec of its own, which attention moves to the query. */
  const sorted = (half: number): Codec =>
    of === "halves"
      ? identity
      : reorder(Array.from({ length: 2 * half }, (_, i) => 2 * (i % half) + Math.floor(i / half)));
  const inSides = (x: Term, half: number, back: boolean): Term => {
    const axis = x.shape.length - 1;
    const [a, b] = [0, half].map((start) => slice(x, axis, start, start + half));
    return concat(turned([a, b], back), axis);
  };
  return {
    name,
    encode: (x, batch = 0) => {
      const half = halfOf(x.shape, batch);
      return { [VALUES]: inSides(sorted(half).encode(x, batch)[VALUES], half, true) };
    },
    decode: (parts, shape, batch = 0) => {
      const half = halfOf(shape, batch);
      return sorted(half).decode({ [VALUES]: inSides(parts[VALUES], half, false) }, shape, batch);
    },
    partShapes: (shape) => ({ [VALUES]: shape }),
  };
};
