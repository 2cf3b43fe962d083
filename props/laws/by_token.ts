/**
 * Laws of codecs that choose tokens, against tokens chosen by sorting.
 * @module
 */
import { attend } from "../../dsl/attention/attend.ts";
import { attentionMass, pooled } from "../../dsl/attention/salience.ts";
import { byToken, type TokenOrder } from "../../dsl/codec/by_token.ts";
import { type Codec, kept } from "../../dsl/codec/codec.ts";
import { input } from "../../dsl/core/build.ts";
import type { Place } from "../../dsl/core/dims.ts";
import { evalAll } from "../../dsl/read/eval.ts";

/** Keys or values, and what their tokens count. */
export interface Told {
  readonly heads: number;
  readonly tokens: number;
  readonly channels: number;
  /** `[heads, tokens, channels]`. */
  readonly x: Float64Array;
  /** `[heads, tokens]`. */
  readonly salience: Float64Array;
}

const wholeOf = (place: Place, tokens: number): number =>
  "share" in place
    ? Math.min(
      tokens,
      (place.and ?? 0) +
        Math.ceil(place.share * Math.max(0, tokens - (place.and ?? 0)) - 1e-9),
    )
    : Math.min(tokens, place.start);

/** Tokens of every head by runs: sorted by what they count, cut, each run in the order of the text. */
export const runsOf = (
  { heads, tokens, salience }: Told,
  { sinks = 0, recent = 0 }: TokenOrder,
  cuts: readonly Place[],
): readonly (readonly number[])[][] =>
  Array.from({ length: heads }, (_, h) => {
    const first = (t: number): boolean => t < sinks || t >= tokens - recent;
    const order = Array.from({ length: tokens }, (_, t) => t).sort((a, b) =>
      Number(first(b)) - Number(first(a)) ||
      (first(a) ? a - b : salience[h * tokens + b] - salience[h * tokens + a] || a - b)
    );
    const ends = [0, ...cuts.map((c) => wholeOf(c, tokens)), tokens];
    return ends.slice(1).map((end, i) => order.slice(ends[i], end).sort((a, b) => a - b));
  });

const shapeOf = ({ heads, channels }: Told) => [heads, "tokens", channels] as const;

/** What a codec makes of tensors of some tokens. */
const through = (codec: Codec, t: Told, x: Float64Array, tokens: number): Float64Array => {
  const term = input("x", [t.heads, tokens, t.channels], "f32");
  const env = { sizes: {}, inputs: { x, salience: t.salience } };
  return evalAll([codec.decode(codec.encode(term), term.shape)], env)[0].data;
};

/** Some tokens of each head, as many of all. */
const picked = (t: Told, which: readonly (readonly number[])[]): Float64Array =>
  Float64Array.from(
    which.flatMap((own, h) =>
      own.flatMap((at) =>
        Array.from(
          t.x.subarray((h * t.tokens + at) * t.channels, (h * t.tokens + at + 1) * t.channels),
        )
      )
    ),
  );

/** Tokens of a run come back as the codec of the run gives them back alone; those of none come back as 0. */
export const keptLaw = (
  t: Told,
  choice: TokenOrder,
  cuts: readonly Place[],
  codecs: readonly Codec[],
  dynamic: boolean,
): boolean => {
  const codec = byToken(choice, cuts, codecs);
  const shape = dynamic ? shapeOf(t) : [t.heads, t.tokens, t.channels];
  const term = input("x", shape, "f32");
  const env = { sizes: { tokens: t.tokens }, inputs: { x: t.x, salience: t.salience } };
  const [{ data }] = evalAll([codec.decode(codec.encode(term), shape)], env);
  const runs = runsOf(t, choice, cuts);
  const expected = new Float64Array(t.x.length);
  codecs.forEach((of, r) => {
    const which = runs.map((own) => own[r]);
    const count = which[0].length;
    if (count === 0) return;
    const back = through(of, t, picked(t, which), count);
    which.forEach((own, h) =>
      own.forEach((at, j) =>
        expected.set(
          back.subarray((h * count + j) * t.channels, (h * count + j + 1) * t.channels),
          (h * t.tokens + at) * t.channels,
        )
      )
    );
  });
  return data.every((y, i) => y === expected[i]);
};

/** Runs by one codec that takes tokens one by one are all tokens by that codec. */
export const equalLaw = (
  t: Told,
  choice: TokenOrder,
  cuts: readonly Place[],
  codec: Codec,
): boolean => {
  const mixed = byToken(choice, cuts, [...cuts, 0].map(() => codec));
  const plain = through(codec, t, t.x, t.tokens);
  return through(mixed, t, t.x, t.tokens).every((y, i) => y === plain[i]);
};

/** Attention to what is kept is attention to those tokens alone, each masked by where it stood. */
export const keptAttentionLaw = (
  t: Told,
  choice: TokenOrder,
  cuts: readonly Place[],
  codec: Codec,
  q: Float64Array,
  past: number,
  apart: boolean,
): boolean => {
  const chooser = byToken(choice, cuts, [codec]);
  const shape = shapeOf(t);
  const parts = chooser.encode(input("x", shape, "f32"));
  const names = Object.keys(parts);
  const sizes = { tokens: t.tokens };
  const stored = evalAll(Object.values(parts), { sizes, inputs: { x: t.x, salience: t.salience } });
  const rows = q.length / t.heads / t.channels;
  // Places made before are those that attention finds.
  const found = kept(chooser, "k", shape).positions;
  const places = found === undefined || !apart ? undefined : input("places", found.shape, "f32");
  const [k, v] = ["k", "v"].map((name) => kept(chooser, name, shape, places));
  const out = attend({
    q: input("q", [t.heads, 1, rows, t.channels], "f32"),
    k,
    v,
    causal: { offset: past },
  });
  const given = Object.fromEntries(
    names.flatMap((name, i) => ["k", "v"].map((of) => [`${of}.${name}`, stored[i].data])),
  );
  const before = places === undefined
    ? {}
    : { places: evalAll([found!], { sizes, inputs: given })[0].data };
  const [{ data }] = evalAll([out], { sizes, inputs: { q, ...given, ...before } });
  const which = runsOf(t, choice, cuts).map((own) => own[0]);
  const back = through(codec, t, picked(t, which), which[0].length);
  return data.every((y, i) => {
    const [h, row, c] = [
      Math.floor(i / rows / t.channels),
      Math.floor(i / t.channels) % rows,
      i % t.channels,
    ];
    const dot = (j: number): number =>
      Array.from({ length: t.channels }, (_, d) =>
        q[(h * rows + row) * t.channels + d] *
        back[(h * which[h].length + j) * t.channels + d]).reduce((a, b) => a + b, 0);
    const seen = which[h].map((at, j) => ({ j, at })).filter(({ at }) => at <= row + past)
      .map(({ j }) => ({ j, s: dot(j) / Math.sqrt(t.channels) }));
    const top = Math.max(...seen.map(({ s }) => s));
    const weights = seen.map(({ s }) => Math.exp(s - top));
    const sum = weights.reduce((a, b) => a + b, 0);
    const mean = seen.reduce(
      (o, { j }, n) => o + weights[n] / sum * back[(h * which[h].length + j) * t.channels + c],
      0,
    );
    return Math.abs(y - mean) <= 1e-6 * Math.max(1, ...back.map(Math.abs));
  });
};

/** Attention that tokens receive is Σ over rows of their softmax, of all rows or of the last ones, in the mean of neighbours. */
export const massLaw = (
  t: Told,
  q: Float64Array,
  group: number,
  last: number,
  width: number,
): boolean => {
  const rows = Math.min(last, t.tokens);
  const mass = new Float64Array(t.heads * t.tokens);
  for (let h = 0; h < t.heads; h++) {
    for (let g = 0; g < group; g++) {
      for (let i = t.tokens - rows; i < t.tokens; i++) {
        const scores = Array.from(
          { length: i + 1 },
          (_, s) =>
            Array.from(
              { length: t.channels },
              (_, d) =>
                q[((h * group + g) * t.tokens + i) * t.channels + d] *
                t.x[(h * t.tokens + s) * t.channels + d],
            ).reduce((a, b) => a + b, 0) /
            Math.sqrt(t.channels),
        );
        const top = Math.max(...scores);
        const sum = scores.reduce((a, s) => a + Math.exp(s - top), 0);
        scores.forEach((s, at) => mass[h * t.tokens + at] += Math.exp(s - top) / sum);
      }
    }
  }
  const term = pooled(
    attentionMass({
      q: input("q", [t.heads, group, "tokens", t.channels], "f32"),
      k: input("k", [t.heads, "tokens", t.channels], "f32"),
      last,
    }),
    width,
  );
  const env = { sizes: { tokens: t.tokens }, inputs: { q, k: t.x } };
  return evalAll([term], env)[0].data.every((y, i) => {
    const [h, at] = [Math.floor(i / t.tokens), i % t.tokens];
    let sum = 0;
    for (let s = 0; s < t.tokens; s++) {
      if (Math.abs(s - at) <= (width - 1) / 2) sum += mass[h * t.tokens + s];
    }
    return Math.abs(y - sum / width) <= 1e-6 * group * rows;
  });
};
