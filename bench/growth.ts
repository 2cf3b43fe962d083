/**
 * How does one decode step grow with its context? The same program serves every length: nothing is
 * compiled again. WebAssembly, one thread, head dim 64.
 *
 * Every case agrees at every length with an f64 loop over the values that it stores before it is timed.
 * @module
 */
import { compile } from "../mod.ts";
import {
  asQuery,
  attention,
  type Named,
  PLAIN,
  release,
  restore,
  type Sizes,
  step,
  store,
  STORED,
  type Stored,
} from "./caches.ts";
import { exactly } from "./exact.ts";
import { agree, type Ask, type Benchmark, type Case, compare, type Row } from "./harness.ts";

const NAMES = ["f16", "rtnGrouped 8", "rtnGrouped 4", "rtnGrouped 2"];
const WAYS: readonly Named[] = [PLAIN, ...NAMES.map((n) => STORED.find((w) => w.name === n)!)];
/** The reason is at `LIMIT` of `attention.ts`. */
const LIMIT = 2 ** -9;
/** Milliseconds that the rounds of one length may take. */
const BUDGET = 2500;

const prepared = async (
  way: Named,
  sizes: Sizes,
  tokens: number,
  { k, v, query }: ReturnType<typeof step>,
): Promise<{ readonly case: Case; readonly inputs: Stored }> => {
  const [keys, values] = [await store(way, sizes, "k", k), await store(way, sizes, "v", v)];
  const held = way === PLAIN ? { k, v } : {
    k: await restore(way, sizes, "k", keys),
    v: await restore(way, sizes, "v", values),
  };
  const want = exactly({ sizes, tokens, q: query }, await held.k.read(), await held.v.read());
  if (way !== PLAIN) release(held);
  const program = await compile({ out: attention(way, sizes) });
  const inputs = { q: asQuery(sizes, query), ...keys, ...values };
  agree(`${way.name}, ${tokens} tokens`, (await program.values(inputs)).out, want, LIMIT);
  return { case: { name: way.name, run: async () => release(await program.run(inputs)) }, inputs };
};

/** The question of the head of the file. */
export const growthBench: Benchmark = async ({ quick }: Ask) => {
  const lengths = quick ? [256, 512] : [512, 2048, 8192, 32768];
  const rows: Row[] = [];
  for (const group of quick ? [1] : [1, 4]) {
    const sizes = { kv: 8, group, dim: 64 };
    for (const tokens of lengths) {
      const ready = [];
      const given = step(sizes, tokens);
      for (const way of WAYS) ready.push(await prepared(way, sizes, tokens, given));
      // About a millisecond for 4,096 tokens of one query.
      const often = Math.max(7, Math.min(60, Math.round(BUDGET * 4096 / (5 * tokens * group))));
      const effort = quick ? { rounds: 3, warmMs: 10 } : { rounds: often, warmMs: 100 };
      for (
        const { name, ms, iqr, best, rounds } of await compare(ready.map((r) => r.case), effort)
      ) {
        rows.push({ heads: `${sizes.kv} × ${group}`, cache: name, tokens, ms, iqr, best, rounds });
      }
      ready.forEach((r) => release(r.inputs));
    }
  }
  return [{ title: "one decode step against its context, dim 64", rows }];
};
