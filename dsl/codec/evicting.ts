/**
 * A cache that forgets: as many tokens as its budget, and each new one takes the place of another. Which ones
 * are held after some steps is a fold over the steps, written here and nowhere else: it is the meaning, and
 * what a cache on a device does ({@link Held} is small and lies beside it).
 *
 * ```text
 * step       n new tokens; as many as do not fit any more go:  of those held, but for the first `sinks` and
 *            the newest `recent`, those that attention looked at least; of equals the earlier
 * looked at  mass = decay · mass + what attention gave each token that is held, summed over queries
 *
 * heavy 0                 StreamingLLM (arXiv 2309.17453): one token may go, the oldest of the window; a ring
 * decay 1                 H2O (2306.14048)
 * decay 0, shared         TOVA (2401.06104): by the newest query alone, the same tokens in all heads
 * ```
 *
 * ```text
 * budget 4, sinks 1, recent 3     place of the token in each slot:   0 1 2 3  ->  0 4 2 3  ->  0 4 5 3
 * ```
 *
 * A token is written where the one that goes was: what is stored keeps its layout, and attention, a sum over
 * tokens in any order, reads it as it lies. So each token is encoded by itself (`streaming.ts` says which codecs
 * do); codes of groups of tokens cannot be taken apart, and are refused by name when the cache is opened. Keys
 * stay turned by the place where they stood.
 *
 * Bits of a held token: those of its codecs, 32 of its place, and 32 of its mass where tokens are heavy; each for
 * every head, of K and V together. Of all tokens that ever came they go to 0.
 * @module
 */
import { cast, growing } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import type { Shape } from "../core/term.ts";
import { bitsOf, cached, checkCodec, type Codec, type Kept } from "./codec.ts";

/** Which tokens stay. */
export interface Eviction {
  /** First tokens, which stay for good; none unless given. */
  readonly sinks?: number;
  /** Newest tokens, which stay for as long as they are; at least one. */
  readonly recent: number;
  /** Tokens between these that stay, by what attention made of them; none unless given. */
  readonly heavy?: number;
  /** What is left of a token's mass at each look, from 0 to 1; 1 unless given. */
  readonly decay?: number;
  /** All heads hold the same tokens: mass is summed over them. Each head its own unless given. */
  readonly shared?: boolean;
}

/** Keys and values of a layer that hold the same tokens. */
export interface Evicting {
  /** As it is written. */
  readonly name: string;
  /** Codec of the keys. */
  readonly k: Codec;
  /** Codec of the values. */
  readonly v: Codec;
  /** Which tokens stay. */
  readonly eviction: Required<Eviction>;
  /** The most tokens that are held. */
  readonly budget: number;
}

/** What is held: the same number of tokens in each head. */
export interface Held {
  /** Tokens that came. */
  readonly seen: number;
  /** Where the token in each slot stood, for each head. */
  readonly places: readonly (readonly number[])[];
  /** What attention made of it. */
  readonly mass: readonly (readonly number[])[];
}

/** Names of the inputs that {@link keptOf} reads beside the parts `k.…` and `v.…`. */
export const PLACES = "places";

/**
 * Keys and values by their codecs, of which only some tokens stay; see the head of the file.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { evicting, heldBits, rtnGrouped } from "kvfold";
 * const window = evicting({ sinks: 4, recent: 252 }, rtnGrouped(4));
 * ok(window.budget === 256);
 * ok(heldBits(window, [2, 64]) === 4.5 + 32 / 128); // of a token that is held: codes, and its place
 * ```
 */
export const evicting = (
  { sinks = 0, recent, heavy = 0, decay = 1, shared = false }: Eviction,
  codec: Codec | { readonly k: Codec; readonly v: Codec },
): Evicting => {
  const apart = typeof codec === "object" && codec !== null && "k" in codec;
  const { k, v } = apart ? codec : { k: codec, v: codec };
  [k, v].forEach((own) => checkCodec("evicting", own));
  const all = `sinks ${sinks}, recent ${recent}, heavy ${heavy}, decay ${decay}`;
  const name = `evicting(${all}${shared ? ", shared" : ""}, ${
    k === v ? k.name : `${k.name}, ${v.name}`
  })`;
  if (![sinks, heavy, recent - 1].every((n) => Number.isInteger(n) && n >= 0)) {
    throw new ValueError(name, "sinks and heavy are counts, of the newest at least one stays");
  }
  if (!(decay >= 0 && decay <= 1)) throw new ValueError(name, `decay is ${decay}, not from 0 to 1`);
  return {
    name,
    k,
    v,
    eviction: { sinks, recent, heavy, decay, shared },
    budget: sinks + recent + heavy,
  };
};

/** Do scores of attention decide which tokens stay? */
export const isWeighed = ({ eviction }: Evicting): boolean => eviction.heavy > 0;

/** Bits per value of a token that is held. */
export const heldBits = (
  codecs: Evicting,
  [heads, channels]: readonly [heads: number, channels: number],
): number => {
  const shape = [heads, "tokens", channels] as const;
  const own = 32 * (isWeighed(codecs) ? 2 : 1) / (2 * channels);
  return (bitsOf(codecs.k, shape) + bitsOf(codecs.v, shape)) / 2 + own;
};

/** Keys and values `[heads, held, channels]` as attention reads them, from inputs `k.…`, `v.…` and `places`. */
export const keptOf = (
  { k, v }: Evicting,
  shape: Shape,
): { readonly k: Kept; readonly v: Kept } => {
  const positions = cast(growing(PLACES, shape.slice(0, -1), "u32"), "f32");
  const of = (codec: Codec, name: string): Kept => ({
    tokens: cached(codec, name, shape),
    positions,
    which: [],
  });
  return { k: of(k, "k"), v: of(v, "v") };
};

/** Nothing is held. */
export const nothing = (heads: number): Held => {
  const none = Array.from({ length: heads }, () => []);
  return { seen: 0, places: none, mass: none };
};

/** Slots of one head that `count` tokens leave: those looked at least, in the order in which they stood. */
const leaving = (
  places: readonly number[],
  mass: readonly number[],
  [from, to]: readonly [from: number, to: number],
  count: number,
): readonly number[] => {
  const may = places.flatMap((place, slot) => place >= from && place < to ? [slot] : []);
  const before = (a: number, b: number): boolean =>
    mass[a] < mass[b] || (mass[a] === mass[b] && places[a] < places[b]);
  if (count === 1) return [may.reduce((a, b) => before(b, a) ? b : a)];
  return may.sort((a, b) => before(a, b) ? -1 : 1).slice(0, count)
    .sort((a, b) => places[a] - places[b]);
};

/** The most tokens of one step. */
export const stepOf = ({ eviction }: Evicting): number => eviction.recent;

/**
 * One step: `count` tokens come, at most {@link stepOf}. The slots that they take, for each head, and what is held
 * then; a new token has no mass.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { evicting, f16, nothing, stepped } from "kvfold";
 * const window = evicting({ sinks: 1, recent: 3 }, f16);
 * let held = nothing(1);
 * for (let token = 0; token < 6; token++) held = stepped(window, held, 1).held;
 * ok(held.places[0].join() === "0,4,5,3");
 * ```
 */
export const stepped = (
  codecs: Evicting,
  { seen, places, mass }: Held,
  count: number,
): { readonly held: Held; readonly slots: readonly (readonly number[])[] } => {
  const { eviction: { sinks, recent, shared }, budget } = codecs;
  if (!(Number.isInteger(count) && count > 0 && count <= stepOf(codecs))) {
    throw new ValueError(codecs.name, `a step is of 1 to ${stepOf(codecs)} tokens, not ${count}`);
  }
  const full = places[0].length;
  const free = Math.min(count, budget - full);
  const behind = Array.from({ length: free }, (_, i) => full + i);
  const of = (head: number): readonly number[] =>
    count === free ? behind : [
      ...behind,
      ...leaving(places[head], mass[head], [sinks, seen + count - recent], count - free),
    ];
  const first = of(0);
  const slots = places.map((_, head) => head === 0 || shared ? first : of(head));
  const put = (
    all: readonly (readonly number[])[],
    value: (i: number) => number,
  ): readonly (readonly number[])[] =>
    all.map((row, head) => {
      const next = [...row];
      slots[head].forEach((slot, i) => next[slot] = value(i));
      return next;
    });
  const held = {
    seen: seen + count,
    places: put(places, (i) => seen + i),
    mass: put(mass, () => 0),
  };
  return { held, slots };
};

/** Attention gave each token that is held so much, `[heads, held]`. */
export const lookedAt = (
  { eviction: { decay, shared } }: Evicting,
  held: Held,
  received: ArrayLike<number>,
): Held => {
  const { length: heads } = held.mass;
  const own = (head: number, slot: number): number => received[head * held.mass[0].length + slot];
  const all = (slot: number): number =>
    held.mass.reduce((sum, _, head) => sum + own(head, slot), 0);
  return {
    ...held,
    mass: held.mass.map((row, head) =>
      row.map((m, slot) =>
        Math.fround(decay * m + (shared && heads > 1 ? all(slot) : own(head, slot)))
      )
    ),
  };
};
