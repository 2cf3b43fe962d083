/**
 * What a longer context costs a cache that grows: one decode step at 1K to 128K tokens, putting one token
 * behind 1K and behind 64K, what is compiled by then, and what is allocated.
 * @module
 */
import {
  attend,
  cached,
  compile,
  type Device,
  input,
  openCache,
  openWasm,
  rtnGrouped,
} from "../mod.ts";
import { draws } from "./data.ts";
import { type Ask, type Benchmark, compare, type Row } from "./harness.ts";

const [HEADS, GROUP, CHANNELS] = [2, 2, 64];
/** Tokens that are put into a cache at once to fill it. */
const AT_ONCE = 1024;

/** The device, with what it was asked for counted. */
const counted = (device: Device): { device: Device; counts: { built: number; words: number } } => {
  const counts = { built: 0, words: 0 };
  return {
    counts,
    device: {
      ...device,
      build: (steps) => {
        counts.built++;
        return device.build(steps);
      },
      alloc: (words) => {
        counts.words += words;
        return device.alloc(words);
      },
    },
  };
};

/** The benchmark. */
export const appendBench: Benchmark = async ({ quick }: Ask) => {
  const effort = quick ? { rounds: 3, warmMs: 10 } : { rounds: 40, warmMs: 500 };
  const { device, counts } = counted(openWasm());
  const lengths = quick ? [1024, 2048] : [1024, 4096, 16384, 65536, 131072];
  const codec = rtnGrouped(4);
  const next = draws(1);
  const block = Float32Array.from({ length: HEADS * AT_ONCE * CHANNELS }, next);
  const one = Float32Array.from({ length: HEADS * CHANNELS }, next);
  const q = Float32Array.from({ length: HEADS * GROUP * CHANNELS }, next);
  const sides = await Promise.all(lengths.map(async (tokens) => {
    const open = () => openCache(codec, [HEADS, CHANNELS], { device, capacity: tokens + 4096 });
    const [k, v] = [await open(), await open()];
    for (let n = 0; n < tokens; n += AT_ONCE) {
      await k.append(block);
      await v.append(block);
    }
    return { tokens, k, v };
  }));
  const [{ k, v }] = sides;
  const program = await compile({
    out: attend({
      q: input("q", [HEADS, GROUP, 1, CHANNELS], "f32"),
      k: cached(k.codec, "k", k.shape),
      v: cached(v.codec, "v", v.shape),
    }),
  }, { device });
  const steps = sides.map((s) => {
    const work = program.record({ q, ...s.k.parts("k"), ...s.v.parts("v") }, { tokens: s.tokens });
    return { name: `${s.tokens}`, run: () => work.replay() };
  });
  const decode = await compare(steps, effort);
  const each = decode.map(({ best }, i) => best / lengths[i]);
  const step: Row[] = decode.map(({ best }, i) => ({
    tokens: lengths[i],
    ms: best,
    "ns a token": each[i] * 1e6,
    "of the first": each[i] / each[0],
    "cache MB": (sides[i].k.bytes() + sides[i].v.bytes()) / 1e6,
  }));
  // Twos, so that what waits for a full word is the same.
  const appends = sides.map((s) => ({
    name: `${s.tokens}`,
    run: async () => {
      await s.k.append(one);
      await s.k.append(one);
    },
  }));
  for (const { run } of appends) await run();
  const before = { ...counts };
  const put = await compare(appends, effort);
  const after = { built: counts.built - before.built, words: counts.words - before.words };
  const append: Row[] = put.map(({ best }, i) => ({
    tokens: lengths[i],
    "µs a token": best * 500,
    "of the first": best / put[0].best,
  }));
  sides.forEach((s) => [s.k, s.v].forEach((c) => c.dispose()));
  return [
    { title: "one decode step, 4 bits, 2 key heads, 4 query heads of 64", rows: step },
    {
      title: `one token more: ${after.built} programs built, ${after.words} words allocated`,
      rows: append,
    },
  ];
};
