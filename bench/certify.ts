/**
 * What does a certificate cost? Decode attention over a stored cache with its certified bound, against
 * the same attention alone, in turns: what the bound costs beside the attention, sharp and quick (`sharp:
 * false`). Before it is timed certified values are held to those of the plain program, within twice the
 * certificate.
 *
 * WebAssembly, one thread, head dim 64.
 * @module
 */
import { certify, compile } from "../mod.ts";
import {
  asQuery,
  attention,
  type Named,
  release,
  type Sizes,
  step,
  store,
  STORED,
} from "./caches.ts";
import {
  type Ask,
  type Benchmark,
  type Case,
  compare,
  type Effort,
  type Row,
  type Table,
} from "./harness.ts";

const asked = async (way: Named, sizes: Sizes, tokens: number, effort: Effort): Promise<Row> => {
  const { k, v, query } = step(sizes, tokens);
  const q = asQuery(sizes, query);
  const out = attention(way, sizes);
  const plain = await compile({ out });
  const sharp = await certify({ out }, { codes: true });
  const quick = await certify({ out }, { codes: true, sharp: false });
  const parts = { ...await store(way, sizes, "k", k), ...await store(way, sizes, "v", v) };
  release({ k, v });
  const inputs = { q, ...parts };
  const alone = (await plain.values(inputs)).out;
  for (const certified of [sharp, quick]) {
    const { value, bound } = (await certified.values(inputs)).out;
    alone.forEach((x, i) => {
      if (Math.abs(x - value[i]) <= 2 * bound[i]) return;
      throw new Error(`${way.name}: ${x} and ${value[i]} are further apart than 2 × ${bound[i]}`);
    });
  }
  const cases = [plain, quick, sharp].map((program, i): Case => ({
    name: `${i}`,
    run: async () => release(await program.run(inputs)),
  }));
  const [a, q1, s1] = await compare(cases, effort);
  release(inputs);
  return {
    cache: way.name,
    "alone, ms": a.ms,
    "quick bound, × alone": 1 / q1.speedup - 1,
    "at best": q1.best / a.best - 1,
    "sharp bound, × alone": 1 / s1.speedup - 1,
    "at best ": s1.best / a.best - 1,
    "kernels, quick": quick.structure.kernels.length,
    "kernels, sharp": sharp.structure.kernels.length,
  };
};

/** The question of the head of the file. */
export const certifyBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 2048 : 16384;
  const effort = quick ? { rounds: 5, warmMs: 50 } : { rounds: 25, warmMs: 300 };
  const shapes = quick ? [[8, 4]] : [[8, 1], [8, 4], [2, 4]];
  const tables: Table[] = [];
  for (const [kv, group] of shapes) {
    const sizes = { kv, group, dim: 64 };
    const rows: Row[] = [];
    for (const way of STORED) rows.push(await asked(way, sizes, tokens, effort));
    tables.push({
      title: `attention with its bound, ${kv} KV heads × ${group}, dim 64, ${tokens} tokens`,
      rows,
    });
  }
  return tables;
};
