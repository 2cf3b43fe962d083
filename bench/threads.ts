/**
 * What does a second thread bring? The same programs on one thread and on all of them, in turns.
 *
 * Each case gives bit for bit the same on both before it is timed: threads share out the groups of a
 * launch and change none of them. `speedup` is the median of the ratios within rounds, `best` the ratio
 * of the fastest rounds, what is left where other processes take the second core now and then.
 * @module
 */
import { openWasm } from "../compiler/runtime/wasm.ts";
import {
  compile,
  contract,
  type Device,
  input,
  map,
  type Outputs,
  type Tensor,
  type Term,
  wasm,
} from "../mod.ts";
import {
  asQuery,
  attention,
  cacheShape,
  moved,
  type Named,
  PLAIN,
  put,
  release,
  type Sizes,
  step,
  store,
  STORED,
  type Stored,
} from "./caches.ts";
import { activations } from "./data.ts";
import { type Ask, type Benchmark, type Case, clock, compare, type Row } from "./harness.ts";

/** A program and what it is given, on the device of one thread. */
interface Given {
  readonly name: string;
  readonly outputs: Outputs;
  readonly inputs: Stored;
}

const NAMES = ["rtnGrouped 4", "decoquantB 4"];
const WAYS: readonly Named[] = [PLAIN, ...NAMES.map((n) => STORED.find((w) => w.name === n)!)];

const attending = async (way: Named, sizes: Sizes, tokens: number): Promise<Given> => {
  const { kv, group, dim } = sizes;
  const { k, v, query } = step(sizes, tokens);
  const parts = { ...await store(way, sizes, "k", k), ...await store(way, sizes, "v", v) };
  if (way !== PLAIN) release({ k, v });
  const q = asQuery(sizes, query);
  return {
    name: `attention ${kv} × ${group}, dim ${dim}, ${way.name}`,
    outputs: { out: attention(way, sizes) },
    inputs: { q, ...parts },
  };
};

const encoding = (way: Named, sizes: Sizes, tokens: number): Given => {
  const shape = [sizes.kv, tokens, sizes.dim];
  const x = put("x", shape, activations(5, sizes.kv * tokens * sizes.dim, sizes.dim));
  const outputs = { ...way.codec.encode(input("x", cacheShape(sizes), "f32")) };
  return { name: `encode ${JSON.stringify(shape)}, ${way.name}`, outputs, inputs: { x } };
};

const multiplying = (m: number, k: number, n: number): Given => {
  const [a, b]: Term[] = [input("a", [m, k], "f32"), input("b", [n, k], "f32")];
  return {
    name: `${m}×${k} · (${n}×${k})ᵀ`,
    outputs: { out: contract("m k, n k -> m n" as string, a, b) },
    inputs: {
      a: put("a", [m, k], activations(6, m * k, k)),
      b: put("b", [n, k], activations(7, k * n, k)),
    },
  };
};

/** Nothing but arithmetic, a millisecond or two of it: what the machine gives a second thread just now. */
const calculating = (): Given => {
  const [rows, times] = [1024, 8];
  const x: Term = input("x", [rows, 64], "f32");
  const out = Array.from({ length: times }).reduce<Term>((t) => map("exp", map("neg", t)), x);
  return {
    name: `e^-x ${times} times, [${rows},64]`,
    outputs: { out },
    inputs: { x: put("x", [rows, 64], activations(9, rows * 64, 64)) },
  };
};

const bitsOf = async (results: Stored): Promise<string> => {
  const words = await Promise.all(
    Object.values(results).map(async (t) => (await t.device.read([t.memory]))[0]),
  );
  const sums = words.map((w) => w.reduce((sum, x) => Math.imul(sum, 31) + x | 0, 0));
  return sums.join();
};

/** The ratio of one program, in rounds that take about `budgetMs`. */
const compared = async (given: Given, many: Device, budgetMs: number): Promise<Row> => {
  const cases: Case[] = [];
  const bits: string[] = [];
  const held: Stored[] = [];
  for (const device of [wasm(), many]) {
    const inputs: Record<string, Tensor> = {};
    for (const [name, tensor] of Object.entries(given.inputs)) {
      inputs[name] = device === many ? await moved(tensor, many) : tensor;
    }
    const program = await compile(given.outputs, { device });
    const run = async (): Promise<void> => release(await program.run(inputs));
    cases.push({ name: device.description, run });
    held.push(inputs);
    const results = await program.run(inputs);
    bits.push(await bitsOf(results));
    release(results);
  }
  if (new Set(bits).size > 1) return { program: given.name, "one ms": "wrong: results differ" };
  const each = await clock(cases[0].run) + await clock(cases[1].run);
  const rounds = Math.max(5, Math.min(2000, Math.round(budgetMs / each)));
  const [one, all] = await compare(cases, { rounds, warmMs: budgetMs / 10 });
  held.forEach(release);
  return {
    program: given.name,
    "one ms": one.ms,
    "one best": one.best,
    "all ms": all.ms,
    "all best": all.best,
    speedup: all.speedup,
    "speedup best": one.best / all.best,
    rounds,
  };
};

/** The question of the head of the file. */
export const threadsBench: Benchmark = async ({ quick }: Ask) => {
  const many = openWasm({ threads: "all" });
  await many.start();
  const tokens = quick ? 2048 : 16384;
  const rows: Row[] = [];
  const ask = async (given: Given): Promise<void> => {
    rows.push(await compared(given, many, quick ? 20 : 4000));
  };
  await ask(calculating());
  const dims = quick ? [64] : [64, 128];
  for (const dim of dims) {
    for (const [kv, group] of quick ? [[8, 1]] : [[8, 1], [8, 4], [1, 1]]) {
      for (const way of WAYS) await ask(await attending(way, { kv, group, dim }, tokens));
    }
  }
  for (const way of WAYS.slice(1)) await ask(encoding(way, { kv: 8, group: 1, dim: 64 }, tokens));
  await ask(multiplying(512, 512, 512));
  await ask(multiplying(1, 1024, 4096));
  many.close();
  return [{ title: `${many.description} against one, ${tokens} tokens`, rows }];
};
