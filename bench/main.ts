/**
 * `deno task bench`: one file a question; tables on the screen, results with machine and commit in
 * `bench/results/<name>.json`. `--only name` asks one question, `--quick` sees whether all still run
 * (its times mean nothing and are not written), `--cells "words"` asks some cells of a benchmark.
 * `--software` and `--dim 64,128` are for `gpu`, which writes `gpu-<device>.json`. `--html` draws one
 * page of what is stored, and measures before that only what `--only` names or, with `--all`, everything.
 * @module
 */
import process from "node:process";
import { appendBench } from "./append.ts";
import { attentionBench } from "./attention.ts";
import { boundsBench } from "./bounds.ts";
import { certifyBench } from "./certify.ts";
import { compileBench } from "./compile.ts";
import { encodeBench } from "./encode.ts";
import { expectedBench } from "./expected.ts";
import { type Benchmark, machine, record, tableText } from "./harness.ts";
import { gpuBench } from "./gpu.ts";
import { growthBench } from "./growth.ts";
import { hypothesesBench } from "./hypotheses.ts";
import { onlineBench } from "./online.ts";
import { matmulBench } from "./matmul.ts";
import { peersBench } from "./peers.ts";
import { writeReport } from "./report.ts";
import { prefillBench } from "./prefill.ts";
import { longerBench } from "./longer.ts";
import { retrievalBench } from "./retrieval.ts";
import { schemesBench } from "./schemes.ts";
import { threadsBench } from "./threads.ts";
import { tiersBench } from "./tiers.ts";
import { weightsBench } from "./weights.ts";
import { windowBench } from "./window.ts";

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  compile: compileBench,
  attention: attentionBench,
  growth: growthBench,
  append: appendBench,
  encode: encodeBench,
  prefill: prefillBench,
  matmul: matmulBench,
  threads: threadsBench,
  gpu: gpuBench,
  peers: peersBench,
  bounds: boundsBench,
  certify: certifyBench,
  expected: expectedBench,
  schemes: schemesBench,
  weights: weightsBench,
  window: windowBench,
  hypotheses: hypothesesBench,
  tiers: tiersBench,
  online: onlineBench,
  retrieval: retrievalBench,
  longer: longerBench,
};

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const after = (flag: string): string | undefined =>
  args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined;
const [only, cells] = [after("--only"), after("--cells")];
const software = args.includes("--software");
const dims = (after("--dim") ?? "64").split(",").map(Number);
if (dims.some((d) => !(Number.isInteger(d) && d > 0))) {
  console.error(`--dim ${dims.join()}: sizes of a head are whole numbers above 0`);
  process.exit(1);
}
const html = args.includes("--html");
const measures = !html || only !== undefined || args.includes("--all");
if (only !== undefined && BENCHMARKS[only] === undefined) {
  console.error(`no benchmark "${only}": there are ${Object.keys(BENCHMARKS).join(", ")}`);
  process.exit(1);
}

const where = machine();
if (measures) {
  console.log(
    `${where.cpu}, ${where.cores} cores; ${
      Object.entries(where.runtime).map(([k, v]) => `${k} ${v}`).join(", ")
    }; commit ${where.commit.slice(0, 10)}${where.changed ? " with changes" : ""}`,
  );
  for (const [name, benchmark] of Object.entries(BENCHMARKS)) {
    if (only !== undefined && name !== only) continue;
    const answer = await benchmark({
      quick,
      software,
      dims,
      ...(cells === undefined ? {} : { cells }),
    });
    const { tables, name: file } = "tables" in answer ? answer : { tables: answer, name };
    tables.forEach((t) => console.log(tableText(t)));
    if (!quick && cells === undefined && file !== undefined) {
      console.log(`\n${record(file, { name: file, machine: where, tables })}`);
    }
  }
}
if (html) console.log(writeReport());
// Workers of a peer would keep the process.
process.exit();
