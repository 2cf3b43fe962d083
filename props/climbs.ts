/**
 * Every climb there is: towards the bound of each codec under test, and of attention over each scheme
 * as its keys or its values vary. The seed alone decides where it starts and how it goes.
 * @module
 */
import fc from "fast-check";
import { attend } from "../dsl/attention/attend.ts";
import { type Claim, codecClaim } from "../dsl/codec/claim.ts";
import { input } from "../dsl/core/build.ts";
import type { Shape, Term } from "../dsl/core/term.ts";
import { type Sample, samples, type Tensor, tensorOf } from "./arbitraries.ts";
import { climb, codecGoal, type Goal, programGoal } from "./climb.ts";
import { type Case, CODECS, SCHEME_CASES } from "./codecs.ts";
import { claimShare, rounding } from "./laws/codec.ts";

/** How long to climb, and from where. */
export interface Search {
  readonly seed: number;
  /** How often the goal is asked, in all. */
  readonly evaluations: number;
}

/** The closest a search came, and where that ascent began. */
export interface Found {
  readonly ratio: number;
  readonly text: string;
}

/** Asks of one ascent: more of them, and longer ones, in a longer search. */
const ascentOf = (evaluations: number): number =>
  Math.min(evaluations, Math.max(100, Math.ceil(Math.sqrt(10 * evaluations))));

/** From here on a start is not worth an ascent: all of it is clipped or lost, and the bound says so. */
const LOST = 1 - 1e-6;

/** One ascent after another, each from a tensor of its own; the closest. */
const search = (
  starts: fc.Arbitrary<Sample>,
  goalOf: (tensor: Tensor) => Goal,
) =>
({ seed, evaluations }: Search): Found => {
  const length = ascentOf(evaluations);
  let best: Found = { ratio: -Infinity, text: "nowhere" };
  for (let asked = 0, i = 0; asked < evaluations; i++) {
    const [sample] = fc.sample(starts, { seed: seed + i, numRuns: 1 });
    const tensor = tensorOf(sample);
    const goal = goalOf(tensor);
    const first = goal(tensor.data);
    const steps = first > LOST ? 1 : Math.min(length, evaluations - asked);
    asked += steps;
    if (first > LOST && first <= 1) continue;
    const ascent = { start: tensor.data, seed: seed + i, evaluations: steps };
    const { ratio } = climb(goal, ascent);
    if (ratio <= best.ratio) continue;
    const { kind, heads, tokens, channels } = sample;
    best = { ratio, text: `${kind} [${heads},${tokens},${channels}], --seed ${seed} + ${i}` };
  }
  return best;
};

const ofCodec = ({ codec, channels }: Case) => {
  // The terms of a shape are built once.
  const goals = new Map<string, Goal>();
  return search(samples(channels.slice(0, 1), 2, 4), ({ shape }) => {
    const longest = shape[0] * Math.max(...shape);
    const key = shape.join();
    const goal = goals.get(key) ?? codecGoal(codec, shape, rounding(longest, 3));
    goals.set(key, goal);
    return goal;
  });
};

/** Attention of one query to a tensor as keys (the other way round: as values), one of which varies. */
const ofAttention = ({ codec, channels }: Case, name: "k" | "v") =>
  search(
    samples(channels.slice(0, 1), 1, 6).map((s) => ({ ...s, kind: "normal" as const })),
    ({ data, shape }) => {
      const seen = (of: string) =>
        codec.decode(codec.encode(input(of, shape as Shape, "f32")), shape as Shape);
      const q = input("q", [1, 1, 1, shape[2]], "f32");
      const term = attend({ q, k: seen("k"), v: seen("v") });
      const inputs = { q: data.slice(0, shape[2]), k: data.toReversed(), v: data.toReversed() };
      return programGoal(term, { sizes: {}, inputs }, name);
    },
  );

/** A tensor of one or two heads, towards what a codec claims of all of them. */
const ofClaim = ({ codec, channels: [channels] }: Case) => (asked: Search): Found => {
  const claims = new Map<number, Claim | undefined>();
  const claimOf = (heads: number): Claim | undefined => {
    if (!claims.has(heads)) claims.set(heads, codecClaim(codec, { heads, channels }));
    return claims.get(heads);
  };
  if (claimOf(1) === undefined) return { ratio: 0, text: "nothing: there is no claim" };
  return search(samples([channels], 2, 4), ({ shape }) => {
    const claim = claimOf(shape[0]);
    return (data) => claim === undefined ? 0 : claimShare(codec, claim, { shape, data });
  })(asked);
};

/**
 * Schemes that make factors of what their own codes leave: attention to what is not stored yet has no bound
 * there, and asking for it is a `ValueError`. Over stored parts it has one.
 */
export const UNBOUNDED: ReadonlySet<string> = new Set(["gear(2)", "gear(4)"]);

/** Attention to what a codec makes of keys and values at once. */
export const attentionOver = ({ codec, channels: [d] }: Case): Term => {
  const shape: Shape = [1, "t", d];
  const seen = (of: string) => codec.decode(codec.encode(input(of, shape, "f32")), shape);
  return attend({ q: input("q", [1, 1, 1, d], "f32"), k: seen("k"), v: seen("v") });
};

/** Every climb by name. */
export const CLIMBS: Readonly<Record<string, (search: Search) => Found>> = {
  ...Object.fromEntries(Object.entries(CODECS).map(([name, given]) => [name, ofCodec(given)])),
  ...Object.fromEntries(
    Object.entries(SCHEME_CASES).filter(([name]) => !UNBOUNDED.has(name)).flatMap(([name, given]) =>
      (["k", "v"] as const).map((part) => [
        `attention over ${name}, ${part} varies`,
        ofAttention(given, part),
      ])
    ),
  ),
};

/** Climbs towards the claim of every scheme, where it has one. */
export const CLAIM_CLIMBS: Readonly<Record<string, (search: Search) => Found>> = Object.fromEntries(
  Object.entries(SCHEME_CASES).map(([name, given]) => [`claim of ${name}`, ofClaim(given)]),
);
