/**
 * What does a window in full precision around a packed cache cost a decode step? Plain packed caches against
 * the same with first and newest tokens in f16, and KIVI's two codecs against groups of channels alone. Each
 * piece of the tokens has loops of its own (`concat-in-fold`), so that a step should cost what its bytes do.
 *
 * `× plain`: median over rounds of the time over that of the plain cache of as many bits in the same run;
 * `bytes`: what both kernels move at most once, over that of the plain cache.
 * @module
 */
import {
  attend,
  cached,
  type Codec,
  compile,
  evaluate,
  input,
  kivi,
  rtnGrouped,
  window,
} from "../mod.ts";
import { asQuery, cacheShape, release, type Sizes, step, store, type Stored } from "./caches.ts";
import { agree, type Ask, type Benchmark, type Case, compare, ratio, type Row } from "./harness.ts";

/** The limit of `attention.ts`: products of 16-bit integers. */
const LIMIT = 2 ** -9;
/** Fills a window, its sinks, and some groups. */
const SHORT = 300;

/** Keys and values. */
interface Way {
  readonly name: string;
  readonly k: Codec;
  readonly v: Codec;
  /** The plain cache it is compared with. */
  readonly plain?: string;
}

const both = (name: string, codec: Codec, plain?: string): Way => ({
  name,
  k: codec,
  v: codec,
  ...(plain === undefined ? {} : { plain }),
});

const WAYS: readonly Way[] = ([4, 2] as const).flatMap((bits) => {
  const [plain, packed] = [`rtnGrouped ${bits}`, rtnGrouped(bits)];
  return [
    both(plain, packed),
    both(`${plain}, tail 32`, window({ tail: 32, group: 8 }, packed), plain),
    both(`${plain}, sinks 4, tail 128`, window({ sinks: 4, tail: 128, group: 8 }, packed), plain),
    { name: `kivi ${bits}`, ...kivi(bits), plain },
  ];
});

const attention = ({ k, v }: Way, sizes: Sizes): ReturnType<typeof attend> => {
  const shape = cacheShape(sizes);
  return attend({
    q: input("q", [sizes.kv, sizes.group, 1, sizes.dim], "f32"),
    k: cached(k, "k", shape),
    v: cached(v, "v", shape),
  });
};

/** A query and stored keys and values of some tokens. */
const given = async (way: Way, sizes: Sizes, tokens: number): Promise<Stored> => {
  const { k, v, query } = step(sizes, tokens);
  const parts = {
    ...await store({ name: way.name, codec: way.k }, sizes, "k", k),
    ...await store({ name: way.name, codec: way.v }, sizes, "v", v),
  };
  release({ k, v });
  return { q: asQuery(sizes, query), ...parts };
};

/** A step of each way, after it agrees with the f64 meaning of its term on fewer tokens. */
const asked = async (sizes: Sizes, tokens: number, { quick }: Ask): Promise<Row[]> => {
  const cases: Case[] = [];
  const kept: Stored[] = [];
  const moved: number[] = [];
  for (const way of WAYS) {
    const out = attention(way, sizes);
    const program = await compile({ out });
    const few = await given(way, sizes, SHORT);
    const numbers: Record<string, ArrayLike<number>> = {};
    for (const [name, tensor] of Object.entries(few)) numbers[name] = await tensor.read();
    const want = evaluate(out, { sizes: { tokens: SHORT }, inputs: numbers });
    agree(way.name, (await program.values(few)).out, want.data, LIMIT);
    release(few);
    const inputs = await given(way, sizes, tokens);
    kept.push(inputs);
    moved.push(program.bytesMoved({ tokens }));
    cases.push({ name: way.name, run: async () => release(await program.run(inputs)) });
  }
  const effort = quick ? { rounds: 2, warmMs: 0 } : { rounds: 31, warmMs: 100 };
  const timings = await compare(cases, effort);
  kept.forEach(release);
  return timings.map((timing, i): Row => {
    const plain = WAYS.findIndex((w) => w.name === (WAYS[i]!.plain ?? WAYS[i]!.name));
    return {
      cache: timing.name,
      ms: timing.ms,
      iqr: timing.iqr,
      best: timing.best,
      cpu: timing.cpu,
      "× plain": ratio(timing, timings[plain]!),
      bytes: moved[i]! / moved[plain]!,
    };
  });
};

/** The question of the head of the file. */
export const windowBench: Benchmark = async (ask: Ask) => {
  const tokens = ask.quick ? 512 : 16384;
  const tables = [];
  for (const group of [1, 4]) {
    const sizes: Sizes = { kv: 2, group, dim: 64 };
    tables.push({
      title: `a decode step of ${JSON.stringify(cacheShape(sizes))}, ${tokens} tokens, ` +
        `${group} ${group === 1 ? "query" : "queries"} a key head`,
      rows: await asked(sizes, tokens, ask),
    });
  }
  return tables;
};
