/**
 * Laws of caches of bounded memory. The tokens that are held are told twice: by the fold of
 * `dsl/codec/evicting.ts`, and here by what each policy says of all tokens that came.
 * @module
 */
import { attentionReceived } from "../../dsl/attention/salience.ts";
import type { Codec } from "../../dsl/codec/codec.ts";
import {
  type Evicting,
  type Held,
  isWeighed,
  keptOf,
  lookedAt,
  nothing,
  PLACES,
  stepped,
} from "../../dsl/codec/evicting.ts";
import { encodedAgainst, growthOf, TOKENS } from "../../dsl/codec/streaming.ts";
import { input } from "../../dsl/core/build.ts";
import { evaluate } from "../../dsl/read/eval.ts";
import { compile, type Device, openBounded, type Tensor, upload } from "../../mod.ts";
import type { Given } from "./codec.ts";
import { between } from "./growing.ts";

type Parts = Readonly<Record<string, Tensor>>;

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

const sorted = (xs: readonly number[]): string => xs.toSorted((a, b) => a - b).join();

/** The fold over some steps, each looked at as `received` says of the tokens that are held. */
export const folded = (
  codecs: Evicting,
  heads: number,
  steps: readonly number[],
  received: (held: Held, step: number) => ArrayLike<number>,
): readonly Held[] => {
  const all = [nothing(heads)];
  steps.forEach((n, i) => {
    const { held } = stepped(codecs, all[i], n);
    all.push(isWeighed(codecs) ? lookedAt(codecs, held, received(held, i)) : held);
  });
  return all.slice(1);
};

/** A window is the first tokens and the newest, however they came. */
export const windowLaw = (codecs: Evicting, heads: number, steps: readonly number[]): boolean =>
  folded(codecs, heads, steps, () => []).every(({ seen, places }) => {
    const { sinks, recent } = codecs.eviction;
    const first = range(0, Math.min(sinks, seen));
    const newest = range(Math.max(first.length, seen - recent), seen);
    return places.every((own) => sorted(own) === sorted([...first, ...newest]));
  });

/** A window of single steps is a ring: a token's slot is a function of its place. */
export const ringLaw = (codecs: Evicting, tokens: number): boolean => {
  const { sinks, recent } = codecs.eviction;
  const [end] = folded(codecs, 1, range(0, tokens).map(() => 1), () => []).slice(-1);
  return end.places[0].every((place, slot) =>
    slot === (place < sinks ? place : sinks + (place - sinks) % recent)
  );
};

/** What goes counts no more than what stays and might have gone; first and newest tokens stay; no slot is empty. */
export const evictionLaw = (
  codecs: Evicting,
  heads: number,
  steps: readonly number[],
  received: (held: Held, step: number) => ArrayLike<number>,
): boolean => {
  const { eviction: { sinks, recent, shared }, budget } = codecs;
  const all = folded(codecs, heads, steps, received);
  return all.every(({ seen, places, mass }, i) => {
    const { places: old, mass: were } = all[i - 1] ?? nothing(heads);
    return places.every((own, head) => {
      const here = new Set(own);
      const gone = old[head].flatMap((place, slot) => here.has(place) ? [] : [slot]);
      const may = old[head].flatMap((place, slot) =>
        here.has(place) && place >= sinks && place < seen - recent ? [slot] : []
      );
      const before = (a: number, b: number): boolean =>
        were[head][a] < were[head][b] ||
        were[head][a] === were[head][b] && old[head][a] < old[head][b];
      return own.length === Math.min(seen, budget) && here.size === own.length &&
        mass[head].length === own.length &&
        range(0, Math.min(sinks, seen)).every((t) => here.has(t)) &&
        range(Math.max(0, seen - recent), seen).every((t) => here.has(t)) &&
        gone.every((a) => may.every((b) => before(a, b))) &&
        (!shared || own.join() === places[0].join());
    });
  });
};

/** Attention by plain loops: what each held token receives of rows whose first stood at `offset`. */
export const receivedBy = (
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  places: readonly (readonly number[])[],
  { group, rows, channels, offset }: {
    readonly group: number;
    readonly rows: number;
    readonly channels: number;
    readonly offset: number;
  },
): number[] =>
  places.flatMap((own, head) => {
    const sums = own.map(() => 0);
    for (const row of range(0, group * rows)) {
      const weights = own.map((place, slot) => {
        if (place > offset + row % rows) return 0;
        const [a, b] = [
          (head * group * rows + row) * channels,
          (head * own.length + slot) * channels,
        ];
        const score = range(0, channels).reduce((s, c) => s + q[a + c] * k[b + c], 0);
        return Math.exp(score / Math.sqrt(channels));
      });
      const all = weights.reduce((a, b) => a + b, 0);
      weights.forEach((w, slot) => sums[slot] += all === 0 ? 0 : w / all);
    }
    return sums;
  });

/** How far the term is from plain loops, over the largest or 1. */
export const receivedApart = (
  q: Given,
  k: Float64Array,
  places: readonly (readonly number[])[],
  group: number,
  offset: number,
): number => {
  const [heads, rows, channels] = [places.length, q.shape[1] / group, q.shape[2]];
  const tokens = places[0].length;
  const positions = input(PLACES, [heads, tokens], "f32");
  const term = attentionReceived({
    q: input("q", [heads, group, rows, channels], "f32"),
    k: { tokens: input("k", [heads, tokens, channels], "f32"), positions, which: [] },
    offset: input("offset", [], "f32"),
  });
  const inputs = { q: q.data, k, [PLACES]: places.flat(), offset: [offset] };
  const { data } = evaluate(term, { sizes: {}, inputs });
  const want = receivedBy(q.data, k, places, { group, rows, channels, offset });
  return Math.max(...want.map((x, i) => Math.abs(x - data[i]))) / Math.max(1, ...want);
};

/** Parts of all tokens of a tensor, those of the first step fixed for the others. */
const encodedWhole = async (
  device: Device,
  codec: Codec,
  x: Given,
  first: number,
): Promise<ReadonlyMap<string, { readonly of: Tensor; readonly data: Float64Array }>> => {
  const [heads, tokens, channels] = x.shape;
  const of = input("x", [heads, TOKENS, channels], "f32");
  const terms = codec.encode(of);
  const begun = await (await compile({ ...terms }, { device })).run({ x: between(x, 0, first) });
  const fixed = Object.entries(begun).filter(([part]) => growthOf(terms[part]) === undefined);
  const later = await compile({ ...encodedAgainst(codec, of, "fixed") }, { device });
  const next = fixed.length === 0
    ? await later.run({ x: x.data })
    : tokens === first
    ? {}
    : await later.run({
      x: between(x, first, tokens),
      ...Object.fromEntries(fixed.map(([part, t]) => [`fixed.${part}`, t])),
    });
  const found = new Map<string, { of: Tensor; data: Float64Array }>();
  for (const [part, t] of Object.entries(begun)) {
    const growth = growthOf(terms[part]);
    if (growth === undefined) found.set(part, { of: t, data: await t.read() });
    else if (fixed.length === 0) found.set(part, { of: next[part], data: await next[part].read() });
    else {
      const rest = next[part];
      const lead = t.shape.slice(0, growth.axis).reduce((n, d) => n * d, 1);
      const [a, b] = [await t.read(), rest === undefined ? new Float64Array() : await rest.read()];
      const data = Float64Array.from(
        range(0, lead).flatMap((i) => [
          ...a.subarray(i * a.length / lead, (i + 1) * a.length / lead),
          ...b.subarray(i * b.length / lead, (i + 1) * b.length / lead),
        ]),
      );
      found.set(part, { of: t, data });
    }
  }
  return found;
};

/** What a cache is asked to take: keys, values and queries of as many tokens, in steps. */
export interface Taken {
  readonly k: Given;
  readonly v: Given;
  /** `[heads, group · tokens, channels]`: rows of each step are those of its tokens. */
  readonly q: Given;
  readonly group: number;
  readonly steps: readonly number[];
}

/** Queries of one step, `[heads, group, n, channels]`. */
const queriesOf = (
  { q, group, k: { shape: [heads, tokens, channels] } }: Taken,
  at: number,
  n: number,
) =>
  range(0, heads * group).flatMap((row) =>
    Array.from(q.data.subarray((row * tokens + at) * channels, (row * tokens + at + n) * channels))
  );

/** What a cache holds after its steps that the fold and the codec do not: the first thing that differs. */
export const cacheBroken = async (
  device: Device,
  codecs: Evicting,
  taken: Taken,
): Promise<string | undefined> => {
  const { k, v, steps, group } = taken;
  const [heads, , channels] = k.shape;
  const cache = await openBounded(codecs, [heads, channels], { device });
  const wanted = {
    k: await encodedWhole(device, codecs.k, k, steps[0]),
    v: await encodedWhole(device, codecs.v, v, steps[0]),
  };
  /** Parts of the tokens in their slots, out of those of all tokens. */
  const placed = (
    side: "k" | "v",
    { places }: Held,
  ): Record<string, [Float64Array, Tensor, number[]]> => {
    const terms = codecs[side].encode(input("x", [heads, TOKENS, channels], "f32"));
    return Object.fromEntries([...wanted[side]].map(([part, { of, data }]) => {
      const growth = growthOf(terms[part]);
      if (growth === undefined) return [`${side}.${part}`, [data, of, [...of.shape]]];
      const { axis } = growth;
      const lead = of.shape.slice(0, axis).reduce((n, d) => n * d, 1);
      const each = of.shape.slice(axis + 1).reduce((n, d) => n * d, 1);
      const size = data.length / lead;
      const rows = range(0, lead).flatMap((i) =>
        places[Math.floor(i * heads / lead)].flatMap((t) =>
          Array.from(data.subarray(i * size + t * each, i * size + (t + 1) * each))
        )
      );
      const shape = of.shape.map((d, i) => i === axis ? places[0].length : d);
      return [`${side}.${part}`, [Float64Array.from(rows), of, shape]];
    }));
  };
  /** What attention gives the tokens that are held, by a program on parts that were put together by hand. */
  const looked = async (held: Held, at: number, n: number): Promise<Float64Array> => {
    const q = input("q", [heads, group, n === 1 ? 1 : "rows", channels], "f32");
    const offset = n === 1 ? {} : { offset: input("offset", [], "f32") };
    const keys = keptOf(codecs, cache.shape).k;
    const program = await compile({ mass: attentionReceived({ q, k: keys, ...offset }) }, {
      device,
    });
    const parts: Parts = Object.fromEntries(
      Object.entries(placed("k", held)).map(([part, [data, { dtype }, shape]]) => [
        part,
        upload(device, part, dtype, shape, data),
      ]),
    );
    const places = upload(
      device,
      PLACES,
      "u32",
      [heads, held.places[0].length],
      held.places.flat(),
    );
    const where = n === 1 ? {} : { offset: [at], [PLACES]: places };
    // Read as it is stored.
    const { mass } = await program.run(
      { q: queriesOf(taken, at, n), ...parts, ...where },
      { [TOKENS]: held.places[0].length, ...n === 1 ? {} : { rows: n } },
    );
    return await mass.read();
  };
  try {
    let want = nothing(heads);
    let at = 0;
    for (const [i, n] of steps.entries()) {
      await cache.append({ k: between(k, at, at + n), v: between(v, at, at + n) });
      want = stepped(codecs, want, n).held;
      if (isWeighed(codecs)) {
        await cache.observe(queriesOf(taken, at, n));
        want = lookedAt(codecs, want, await looked(want, at, n));
      }
      at += n;
      const have = await cache.held();
      if (JSON.stringify(have) !== JSON.stringify(want)) {
        return `step ${i}: holds ${JSON.stringify(have)}, not ${JSON.stringify(want)}`;
      }
    }
    const parts = cache.parts();
    const all = { ...placed("k", want), ...placed("v", want) };
    for (const [part, [data]] of Object.entries(all)) {
      const have = await parts[part].read();
      const apart = data.findIndex((x, i) => !Object.is(x, have[i]));
      if (apart >= 0 || have.length !== data.length) {
        return `${part}[${apart}] is ${have[apart]}, not ${data[apart]}`;
      }
    }
    const places = await parts[PLACES].read();
    return places.join() === want.places.flat().join() ? undefined : `places ${places.join()}`;
  } finally {
    cache.dispose();
  }
};
