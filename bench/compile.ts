/**
 * How long does a new scheme take from its formula to kernels that run?
 *
 * Everything counts: building the terms, rules, lowering, instructions, bytes, the engine's module. The
 * first compile of a process pays for JavaScript that is not optimised yet, so it has a table of its own,
 * measured in fresh processes (`process` is the whole of one, from its start to its end, with all that it
 * imports); the other table times programs that this process has not seen (every round has another number
 * of heads) after a first one. `first run` is the first decode step over 256 tokens; `terms` to `module`
 * repeat the compile with its stages apart. `again` is the same program once more, its formula built anew.
 * @module
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { lower } from "../compiler/pipeline.ts";
import { bytesOf } from "../compiler/emit/binary.ts";
import { moduleOf } from "../compiler/emit/wasm.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { compile, type Program, wasm } from "../mod.ts";
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
  readonly instructions: number;
  readonly bytes: number;
  readonly module: number;
}

const stagesOf = (way: Named, sizes: Sizes): Stages => {
  const marks = [performance.now()];
  const mark = <A>(value: A): A => (marks.push(performance.now()), value);
  const out = mark(attention(way, sizes));
  const { steps } = mark(lower({ out }, SKELETONS, WASM_TARGET));
  const tree = mark(moduleOf(steps.map((s) => s.kernel)));
  mark(new WebAssembly.Module(mark(bytesOf(tree))));
  const [terms, lowered, instructions, bytes, module] = marks.slice(1).map((t, i) => t - marks[i]);
  return { terms, lower: lowered, instructions, bytes, module };
};

const laterTable = async (rounds: number): Promise<Table> => {
  await compile({ out: attention(PLAIN, { kv: 1, group: 1, dim: 64 }) });
  const rows: Row[] = [];
  const times = new Map<Named, number[]>(WAYS.map((w) => [w, []]));
  const runs = new Map<Named, number[]>(WAYS.map((w) => [w, []]));
  const again = new Map<Named, number[]>(WAYS.map((w) => [w, []]));
  for (let r = 0; r < rounds; r++) {
    for (const way of WAYS) {
      const start = performance.now();
      const program = await compile({ out: attention(way, sizesOf(r)) });
      times.get(way)!.push(performance.now() - start);
      const known = async () => void await compile({ out: attention(way, sizesOf(r)) });
      again.get(way)!.push(await clock(known));
      runs.get(way)!.push(await firstRun(way, sizesOf(r), program));
    }
  }
  for (const way of WAYS) {
    const stages: Stages[] = [];
    for (let r = 0; r < rounds; r++) stages.push(stagesOf(way, sizesOf(rounds + r)));
    const stage = (k: keyof Stages): number => median(stages.map((s) => s[k]));
    const ms = times.get(way)!;
    rows.push({
      scheme: way.name,
      "first ms": ms[0],
      "median ms": median(ms),
      "worst ms": Math.max(...ms),
      terms: stage("terms"),
      lower: stage("lower"),
      instructions: stage("instructions"),
      bytes: stage("bytes"),
      module: stage("module"),
      "again ms": median(again.get(way)!),
      "again worst": Math.max(...again.get(way)!),
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
    const asked = [...args, CHILD, way.name];
    const once = (): { readonly compile: number; readonly whole: number } => {
      const start = performance.now();
      const compile = Number(execFileSync(process.execPath, asked).toString());
      return { compile, whole: performance.now() - start };
    };
    const runs = Array.from({ length: rounds }, once);
    const ms = runs.map((r) => r.compile);
    const whole = runs.map((r) => r.whole);
    return {
      scheme: way.name,
      "best ms": Math.min(...ms),
      "median ms": median(ms),
      "worst ms": Math.max(...ms),
      "process best": Math.min(...whole),
      "process median": median(whole),
    };
  });
  return { title: `first compile of a process, ${rounds} processes a scheme`, rows };
};

/** The question of the head of the file. */
export const compileBench: Benchmark = async ({ quick }: Ask) => [
  firstTable(quick ? 1 : 5),
  await laterTable(quick ? 2 : 10),
];

if (import.meta.main && process.argv.includes(CHILD)) {
  const [name] = process.argv.slice(process.argv.indexOf(CHILD) + 1);
  const way = WAYS.find((w) => w.name === name)!;
  // Opening the device counts.
  const first = async () =>
    void await compile({ out: attention(way, sizesOf(0)) }, { device: wasm() });
  console.log(await clock(first));
}
