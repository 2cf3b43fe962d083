/**
 * How long does a new scheme take from its formula to kernels that run?
 *
 * Everything counts: building the terms, rules, lowering, text, assembly, the engine's module. The first
 * compile of a process pays for starting the assembler and for JavaScript that is not optimised yet, so
 * it has a table of its own, measured in fresh processes; the other table times programs that this
 * process has not seen (every round has another number of heads) after a first one. `first run` is the
 * first decode step over 256 tokens; `stages` repeats the compile with its stages apart.
 * @module
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { lower } from "../compiler/pipeline.ts";
import { emitWat } from "../compiler/emit/wat.ts";
import { assemble } from "../compiler/runtime/modules.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { compile, type Program } from "../mod.ts";
import { attention, type Named, PLAIN, put, release, type Sizes, store, STORED } from "./caches.ts";
import { activations } from "./data.ts";
import { type Ask, type Benchmark, clock, median, type Row, type Table } from "./harness.ts";

const WAYS: readonly Named[] = [PLAIN, ...STORED];
const sizesOf = (round: number): Sizes => ({ kv: 2 + round, group: 2, dim: 64 });

/** One decode step, for the time until there is a result. */
const firstRun = async (way: Named, sizes: Sizes, program: Program): Promise<number> => {
  const shape = [sizes.kv, 256, sizes.dim];
  const x = put("x", shape, activations(8, sizes.kv * 256 * sizes.dim, sizes.dim));
  const parts = { ...await store(way, sizes, "k", x), ...await store(way, sizes, "v", x) };
  const q = new Float32Array(sizes.kv * sizes.group * sizes.dim).fill(1);
  const ms = await clock(async () => release(await program.run({ q, ...parts })));
  release({ ...parts, x });
  return ms;
};

interface Stages {
  readonly terms: number;
  readonly lower: number;
  readonly text: number;
  readonly assembly: number;
}

const stagesOf = async (way: Named, sizes: Sizes): Promise<Stages> => {
  const marks = [performance.now()];
  const mark = <A>(value: A): A => (marks.push(performance.now()), value);
  const out = mark(attention(way, sizes));
  const { steps } = mark(lower({ out }, SKELETONS, WASM_TARGET));
  const text = mark(emitWat(steps.map((s) => s.kernel)));
  mark(await assemble(text));
  const [terms, lowered, written, assembly] = marks.slice(1).map((t, i) => t - marks[i]);
  return { terms, lower: lowered, text: written, assembly };
};

const laterTable = async (rounds: number): Promise<Table> => {
  await compile({ out: attention(PLAIN, { kv: 1, group: 1, dim: 64 }) });
  const rows: Row[] = [];
  const times = new Map<Named, number[]>(WAYS.map((w) => [w, []]));
  const runs = new Map<Named, number[]>(WAYS.map((w) => [w, []]));
  for (let r = 0; r < rounds; r++) {
    for (const way of WAYS) {
      const start = performance.now();
      const program = await compile({ out: attention(way, sizesOf(r)) });
      times.get(way)!.push(performance.now() - start);
      runs.get(way)!.push(await firstRun(way, sizesOf(r), program));
    }
  }
  for (const way of WAYS) {
    const stages: Stages[] = [];
    for (let r = 0; r < rounds; r++) stages.push(await stagesOf(way, sizesOf(rounds + r)));
    const stage = (k: keyof Stages): number => median(stages.map((s) => s[k]));
    const ms = times.get(way)!;
    rows.push({
      scheme: way.name,
      "first ms": ms[0],
      "median ms": median(ms),
      "worst ms": Math.max(...ms),
      terms: stage("terms"),
      lower: stage("lower"),
      text: stage("text"),
      assembly: stage("assembly"),
      "first run ms": median(runs.get(way)!),
    });
  }
  return { title: `compile a new program, process warm, ${rounds} programs a scheme`, rows };
};

/** What a fresh process prints. */
const CHILD = "--first";

const firstTable = (rounds: number): Table => {
  const self = fileURLToPath(import.meta.url);
  const args = "Deno" in globalThis ? ["run", "-A", self] : [self];
  const rows = WAYS.map((way): Row => {
    const ms = Array.from(
      { length: rounds },
      () => Number(execFileSync(process.execPath, [...args, CHILD, way.name]).toString()),
    );
    return { scheme: way.name, "median ms": median(ms), "worst ms": Math.max(...ms) };
  });
  return { title: `first compile of a process, ${rounds} processes a scheme`, rows };
};

/** The question of the head of the file. */
export const compileBench: Benchmark = async ({ quick }: Ask) => [
  firstTable(quick ? 1 : 5),
  await laterTable(quick ? 2 : 10),
];

if (import.meta.main && process.argv.includes(CHILD)) {
  const name = process.argv[process.argv.indexOf(CHILD) + 1];
  const way = WAYS.find((w) => w.name === name)!;
  console.log(await clock(async () => void await compile({ out: attention(way, sizesOf(0)) })));
}
