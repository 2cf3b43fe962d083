/**
 * Tokens by what they count: the most salient by one codec, those after them by another, the rest by a last one
 * or by none. Which tokens they are is stored, for each head apart.
 *
 * ```text
 * tokens    0 1 2 3 4 5 6 7           salience  9 1 1 7 1 8 3 2       byToken([{ share: 0.25 }], [four, two])
 * run0      0 5            four       index 0 5 (u32)
 * run1      1 2 3 4 6 7    two        what is left: no index
 * ```
 *
 * Without a codec for them the tokens of a run are **dropped**: nothing of them is stored, and attention, which
 * sums over tokens in any order, sums over those that are there ({@link kept}): the stream kernel has no bytes of
 * others to read. As a tensor of all tokens a dropped one is 0, so that errors and bounds count all of it.
 *
 * K and V of a layer choose the same tokens, so salience is of what both have: a term of other inputs than what
 * is stored (`attention/salience.ts`). Ties go to the earlier token.
 *
 * Streaming: the choice is made once, of the tokens that are there. Law: what is kept comes back exactly as its
 * codec says; one codec of all tokens is that codec.
 * @module
 */
import { broadcast, cast, gather, input, iota, map, sizeTerm } from "../core/build.ts";
import { type Place, rangeDim } from "../core/dims.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { concat } from "../core/pieces.ts";
import { amongPlaces, placesOf, rankOf, ranksWithin } from "../core/ranks.ts";
import type { Dim, Shape, Term } from "../core/term.ts";
import type { Codec, Selective } from "./codec.ts";
import { inside, type Parts, prefixed } from "./parts.ts";

/** Which tokens come first. */
export interface TokenOrder {
  /** What each token counts, `[…, tokens]` for a tensor `[…, tokens, channels]`; {@link told} unless given. */
  readonly salience?: (shape: Shape) => Term;
  /** First tokens that count most whatever their salience; none unless given. */
  readonly sinks?: number;
  /** Newest tokens that count most whatever their salience; none unless given. */
  readonly recent?: number;
  /** Tokens that came after the choice was made: they are newest, and more of the first run than its cut says. */
  readonly later?: number;
}

/** Name of the input that says what each token counts. */
export const SALIENCE = "salience";

/** Salience as an input of the program that encodes, measured before. */
export const told = (shape: Shape): Term => input(SALIENCE, shape.slice(0, -1), "f32");

/** More than any attention. */
const MOST = 3e38;

const named = (i: number): string => `run${i}`;

const textOf = (place: Place): string =>
  "share" in place
    ? `${place.share} of all${place.and ? ` but ${place.and}, and those` : ""}`
    : `${place.start}`;

/** The place, so many tokens further on. */
const behind = (place: Place, later: number): Place =>
  "share" in place
    ? { ...place, and: (place.and ?? 0) + later }
    : { ...place, start: place.start + later };

/** Ranks of the tokens, the first and the newest before all others. */
const ranksFor = (
  { salience = told, sinks = 0, recent: newestOnes = 0, later = 0 }: TokenOrder,
  shape: Shape,
): Term => {
  const recent = newestOnes + later;
  const given = salience(shape);
  const axis = shape.length - 2;
  const first = map("less", iota(given.shape, axis), sinks);
  const newest = map("sub", sizeTerm(shape[axis]), recent);
  const last = map("less", iota(given.shape, axis), newest);
  const others = recent === 0 ? given : map("select", last, given, MOST);
  return rankOf(sinks === 0 ? others : map("select", first, MOST, others));
};

/**
 * Tokens by falling salience, cut at places, each run by its codec; runs without a codec are dropped.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, byToken, rtnGrouped } from "kvfold";
 * const shape = ["heads", "tokens", 64] as const;
 * const mixed = byToken({}, [{ share: 0.25 }], [rtnGrouped(4), rtnGrouped(2)]);
 * ok(bitsOf(mixed, shape) === 0.25 * (4.5 + 32 / 64) + 0.75 * 2.5); // a quarter has an index
 * const fewer = byToken({}, [{ share: 0.25 }], [rtnGrouped(4)]);
 * ok(bitsOf(fewer, shape) === 0.25 * (4.5 + 32 / 64));
 * ```
 */
export const byToken = (
  choice: TokenOrder,
  given: readonly Place[],
  codecs: readonly Codec[],
): Selective => {
  const { sinks = 0, recent = 0, later = 0 } = choice;
  const cuts = given.map((place) => behind(place, later));
  const name = `byToken([${cuts.map(textOf).join(", ")}], [${
    codecs.map((c) => c.name).join(", ")
  }])`;
  if (![sinks, recent, later].every((n) => Number.isInteger(n) && n >= 0)) {
    throw new ValueError(name, "sinks, recent and later are counts");
  }
  if (codecs.length === 0 || codecs.length > cuts.length + 1) {
    throw new ValueError(name, `${codecs.length} codecs for ${cuts.length + 1} runs`);
  }
  const at = (p: Place): number => "share" in p ? p.share : p.start;
  const apart = cuts.slice(1).findIndex((p, i) =>
    "share" in p !== "share" in cuts[i] || at(p) <= at(cuts[i])
  );
  if (apart >= 0) {
    throw new ValueError(
      name,
      `${textOf(cuts[apart + 1])} does not come after ${textOf(cuts[apart])}`,
    );
  }
  const inner = codecs.find((codec) => codec.selective?.drops);
  if (inner !== undefined) throw new ValueError(name, `${inner.name} drops tokens itself`);
  const drops = codecs.length <= cuts.length;
  const axisOf = (shape: Shape): number => {
    if (shape.length >= 2) return shape.length - 2;
    throw new ShapeError(name, `needs tokens and channels, got ${shapeText(shape)}`);
  };
  /** Runs that hold tokens: where they start, and how many they are. */
  const runsOf = (shape: Shape) => {
    const tokens = shape[axisOf(shape)];
    const places: readonly (Place | undefined)[] = [{ start: 0 }, ...cuts, undefined];
    const upTo = (i: number): Dim =>
      places[i] === undefined ? tokens : rangeDim(tokens, { start: 0 }, places[i]);
    return codecs.map((codec, i) => ({
      codec,
      part: named(i),
      last: i === cuts.length,
      from: upTo(i),
      to: upTo(i + 1),
      tokens: rangeDim(tokens, places[i]!, places[i + 1]),
    })).filter((run) => run.tokens !== 0);
  };
  const sized = (shape: Shape, tokens: Dim): Shape =>
    shape.map((d, i) => i === axisOf(shape) ? tokens : d);
  const indicesOf = (shape: Shape): readonly Term[] => {
    if (cuts.length === 0) return [];
    const ranks = ranksFor(choice, shape);
    return runsOf(shape).map(({ from, to, tokens }) =>
      placesOf(ranksWithin(ranks, from, to), tokens)
    );
  };
  const joined = (parts: Parts, shape: Shape, batch: number): Term =>
    concat(
      runsOf(shape).map(({ codec, part, tokens }) =>
        cast(codec.decode(inside(parts, part), sized(shape, tokens), batch), "f32")
      ),
      axisOf(shape),
    );
  /** Where each token is among those that are stored, and whether it is: all are without a mark. */
  const found = (parts: Parts, shape: Shape) => {
    const tokens = shape[axisOf(shape)];
    const marks = runsOf(shape).filter((run) => !run.last).map(({ part, from }) => ({
      ...amongPlaces(parts[`${part}.index`], tokens),
      from,
    }));
    const total = (of: readonly Term[]): Term => of.reduce((a, b) => map("add", a, b));
    const at = marks.map(({ before, present, from }) =>
      map("mul", present, from === 0 ? before : map("add", before, sizeTerm(from)))
    );
    return { marks, total, at };
  };
  return {
    name,
    encode: (x, batch = 0) => {
      const lead = axisOf(x.shape);
      const indices = indicesOf(x.shape);
      return Object.assign(
        {},
        ...runsOf(x.shape).map(({ codec, part, last }, i): Parts => ({
          ...(last ? {} : { [`${part}.index`]: indices[i] }),
          ...prefixed(
            part,
            codec.encode(indices.length === 0 ? x : gather(x, indices[i], lead), batch),
          ),
        })),
      );
    },
    decode: (parts, shape, batch = 0) => {
      const [lead, runs] = [axisOf(shape), runsOf(shape)];
      const stored = joined(parts, shape, batch);
      const { marks, total, at } = found(parts, shape);
      if (marks.length === 0) return stored;
      const present = total(marks.map((m) => m.present));
      const rest = runs.find((run) => run.last);
      const ahead = iota(present.shape, lead);
      const after = (from: Dim): Term =>
        map("sub", map("add", ahead, sizeTerm(from)), total(marks.map((m) => m.before)));
      const place = rest === undefined
        ? total(at)
        : map("select", present, total(at), after(rest.from));
      const values = gather(stored, cast(place, "u32"), lead);
      if (!drops) return values;
      return map("select", broadcast(present, shape, present.shape.map((_, i) => i)), values, 0);
    },
    selective: {
      drops,
      indices: indicesOf,
      seen: (parts, shape, batch = 0) => {
        const { marks, total } = found(parts, shape);
        const places = runsOf(shape).map(({ part, last, tokens }) =>
          cast(
            !last
              ? parts[`${part}.index`]
              : marks.length === 0
              ? iota(shape.slice(0, -1), axisOf(shape))
              : placesOf(map("sub", 1, total(marks.map((m) => m.present))), tokens),
            "f32",
          )
        );
        return { tokens: joined(parts, shape, batch), positions: concat(places, axisOf(shape)) };
      },
    },
  };
};

/** Keeps tokens up to a place in the order of salience, by the codec that it is given; drops the others. */
export const keep = (choice: TokenOrder, upTo: Place): (codec: Codec) => Selective => (codec) =>
  "share" in upTo && upTo.share === 1
    ? byToken(choice, [], [codec])
    : byToken(choice, [upTo], [codec]);
