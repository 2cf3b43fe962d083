/**
 * How fast is the attention of a whole prompt on its stored cache (prefill: many queries a head, causal),
 * as a share of the multiply-adds that registers alone allow, and against the same with each query on its
 * own (`queries: 1` of the schedule)?
 *
 * Only what a row sees counts as work, q·k and p·v: what a tile spends on masked tokens, the decoding of
 * tokens, e^x and the merge are time without work. Rates are of processor time. Both ways agree
 * with the f64 meaning on a short prompt, and with each other on the long one, before they are timed.
 * @module
 */
import { compile, evaluate } from "../mod.ts";
import {
  cacheShape,
  type Named,
  PLAIN,
  prompted,
  put,
  release,
  type Sizes,
  step,
  store,
  STORED,
  type Stored,
} from "./caches.ts";
import { activations } from "./data.ts";
import {
  agree,
  type Ask,
  type Benchmark,
  type Case,
  compare,
  type Effort,
  type Row,
  type Table,
} from "./harness.ts";
import { openRoofs } from "./roofs.ts";

/** Packed caches multiply 16-bit integers one query at a time: the limit of `attention.ts`. */
const LIMIT = 2 ** -9;
const MADDS = 2e8;
/** Longer than a block of queries and a step of tokens, and no multiple of them. */
const SHORT = 150;

const NAMES = ["rtnGrouped 4", "decoquantB 4"];
const WAYS: readonly Named[] = [PLAIN, ...NAMES.map((n) => STORED.find((w) => w.name === n)!)];
const SCHEDULES = [{ queries: 1 }, {}] as const;

/** A prompt's queries and stored cache. */
const prompt = async (
  way: Named,
  sizes: Sizes,
  tokens: number,
): Promise<Stored> => {
  const { kv, group, dim } = sizes;
  const { k, v } = step(sizes, tokens);
  const parts = { ...await store(way, sizes, "k", k), ...await store(way, sizes, "v", v) };
  const q = put("q", [kv, group, tokens, dim], activations(3, kv * group * tokens * dim, dim));
  if (way !== PLAIN) release({ k, v });
  return { q, ...parts };
};

const checked = async (way: Named, sizes: Sizes): Promise<void> => {
  const inputs = await prompt(way, sizes, SHORT);
  const numbers: Record<string, ArrayLike<number>> = {};
  for (const [name, tensor] of Object.entries(inputs)) numbers[name] = await tensor.read();
  const out = prompted(way, sizes);
  const want = evaluate(out, { sizes: { tokens: SHORT }, inputs: numbers });
  for (const schedule of SCHEDULES) {
    const program = await compile({ out }, { schedule });
    agree(way.name, (await program.values(inputs)).out, want.data, LIMIT);
  }
  release(inputs);
};

const asked = async (sizes: Sizes, tokens: number, effort: Effort): Promise<Table> => {
  const { kv, group, dim } = sizes;
  const cases: Case[] = [];
  const given: Stored[] = [];
  for (const way of WAYS) {
    await checked(way, sizes);
    const inputs = await prompt(way, sizes, tokens);
    given.push(inputs);
    const programs = await Promise.all(
      SCHEDULES.map((schedule) => compile({ out: prompted(way, sizes) }, { schedule })),
    );
    const [one, block] = await Promise.all(programs.map(async (p) => (await p.values(inputs)).out));
    agree(way.name, block, one, LIMIT);
    programs.forEach((program, i) =>
      cases.push({
        name: `${way.name}, ${i === 0 ? "one query at a time" : "blocks"}`,
        run: async () => release(await program.run(inputs)),
      })
    );
  }
  const timings = await compare([...cases, (await openRoofs(1 << 20)).madds(MADDS)], effort);
  given.forEach(release);
  const peak = MADDS / timings[timings.length - 1].cpu;
  const work = kv * group * tokens * (tokens + 1) * dim;
  return {
    title:
      `prefill of ${JSON.stringify(cacheShape(sizes))}, ${tokens} tokens, ${group} queries a ` +
      `key head (multiply-adds ${(peak / 1e6).toFixed(1)} G/s)`,
    rows: timings.slice(0, -1).map(({ name, ms, iqr, best, cpu }, i): Row => ({
      cache: name,
      ms,
      iqr,
      best,
      cpu,
      "Gmadd/s": work / cpu / 1e6,
      "% madd peak": 100 * work / cpu / peak,
      "× one": timings[i - i % 2].cpu / cpu,
    })),
  };
};

/** The question of the head of the file. */
export const prefillBench: Benchmark = async ({ quick }: Ask) => {
  const effort = quick ? { rounds: 2, warmMs: 0 } : { rounds: 9, warmMs: 200 };
  const shapes: readonly (readonly [Sizes, number])[] = [
    [{ kv: 4, group: 1, dim: 64 }, 512],
    [{ kv: 1, group: 4, dim: 64 }, 512],
    [{ kv: 2, group: 1, dim: 128 }, 512],
    [{ kv: 1, group: 1, dim: 64 }, 2048],
    [{ kv: 1, group: 2, dim: 128 }, 2048],
  ];
  const tables: Table[] = [];
  for (const [sizes, tokens] of quick ? shapes.slice(0, 2) : shapes) {
    tables.push(await asked(sizes, quick ? 192 : tokens, effort));
  }
  return tables;
};
