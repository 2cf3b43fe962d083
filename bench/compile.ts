/**
 * How long does a new scheme take from its formula to kernels that run?
 *
 * Everything counts: building the terms, rules, lowering, text, assembly, the engine's module. The first
 * compile of a process pays for JavaScript that is not optimised yet, so it has tables of its own,
 * measured in fresh processes (`process` is the whole of one, from its start to its end, with all that it
 * imports); the other table times programs that this process has not seen (every
 * round has another number of heads) after a first one. `first run` is the
 * first decode step over 256 tokens; `stages` repeats the compile with its stages apart. `again` is the
 * same program once more, its formula built anew; `from folder` is the module of a text that another
 * process left in a folder, in place of `assembly`.
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { lower } from "../compiler/pipeline.ts";
import { emitWat } from "../compiler/emit/wat.ts";
import { toFolder } from "../compiler/runtime/folder.ts";
import { assemble } from "../compiler/runtime/modules.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { compile, openWasm, type Program, wasm } from "../mod.ts";
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
  readonly folder: number;
}

const stagesOf = async (way: Named, sizes: Sizes, folder: string): Promise<Stages> => {
  const marks = [performance.now()];
  const mark = <A>(value: A): A => (marks.push(performance.now()), value);
  const out = mark(attention(way, sizes));
  const { steps } = mark(lower({ out }, SKELETONS, WASM_TARGET));
  const text = mark(emitWat(steps.map((s) => s.kernel)));
  const { bytes } = mark(await assemble(text));
  const [terms, lowered, written, assembly] = marks.slice(1).map((t, i) => t - marks[i]);
  await toFolder(folder, text, bytes);
  const start = performance.now();
  await assemble(text, folder);
  return { terms, lower: lowered, text: written, assembly, folder: performance.now() - start };
};

const laterTable = async (rounds: number, folder: string): Promise<Table> => {
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
    for (let r = 0; r < rounds; r++) stages.push(await stagesOf(way, sizesOf(rounds + r), folder));
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
      "from folder": stage("folder"),
      "again ms": median(again.get(way)!),
      "again worst": Math.max(...again.get(way)!),
      "first run ms": median(runs.get(way)!),
    });
  }
  return { title: `compile a new program, process warm, ${rounds} programs a scheme`, rows };
};

/** What a fresh process prints. */
const CHILD = "--first";

/** Processes that have no folder, or one that an earlier process filled. */
const firstTable = (rounds: number, folder?: string): Table => {
  const self = fileURLToPath(import.meta.url);
  const args = "Deno" in globalThis ? ["run", "-A", self] : [self];
  const rows = WAYS.map((way): Row => {
    const asked = [...args, CHILD, way.name, ...folder === undefined ? [] : [folder]];
    const once = (): { readonly compile: number; readonly whole: number } => {
      const start = performance.now();
      const compile = Number(execFileSync(process.execPath, asked).toString());
      return { compile, whole: performance.now() - start };
    };
    if (folder !== undefined) once();
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
  const how = folder === undefined ? "" : ", modules from a folder";
  return { title: `first compile of a process${how}, ${rounds} processes a scheme`, rows };
};

/** The question of the head of the file. */
export const compileBench: Benchmark = async ({ quick }: Ask) => {
  const folder = await mkdtemp(`${tmpdir()}/kvfold-`);
  try {
    const rounds = quick ? 1 : 5;
    return [
      firstTable(rounds),
      firstTable(rounds, folder),
      await laterTable(quick ? 2 : 10, folder),
    ];
  } finally {
    await rm(folder, { recursive: true });
  }
};

if (import.meta.main && process.argv.includes(CHILD)) {
  const [name, cache] = process.argv.slice(process.argv.indexOf(CHILD) + 1);
  const way = WAYS.find((w) => w.name === name)!;
  // Opening the device starts the assembler: that counts.
  const first = async () => {
    const device = cache === undefined ? wasm() : openWasm({ cache });
    await compile({ out: attention(way, sizesOf(0)) }, { device });
  };
  console.log(await clock(first));
}
