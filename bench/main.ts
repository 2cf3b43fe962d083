/**
 * `deno task bench`: one file a question; tables on the screen, results with machine and commit in
 * `bench/results/<name>.json`. `--only name` asks one question, `--quick` sees whether all still run
 * (its times mean nothing and are not written), `--cells "words"` asks some cells of a benchmark.
 * `--software` and `--dim 64,128` are for `gpu`, which writes `gpu-<device>.json`. `--html` draws one
 * page of what is stored, and measures before that only what `--only` names or, with `--all`, everything.
 * @module
 */
import process from "node:process";
import { called, isCount, stop, UsageError } from "../cli/options.ts";
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

const COMMAND = {
  usage: `deno task bench [options]

Questions: ${Object.keys(BENCHMARKS).join(", ")}.
All of them take long; results of whole runs are written to bench/results.
`,
  flags: {
    only: { wants: "NAME", says: "one question" },
    quick: { says: "see whether it runs: times mean nothing and are not written" },
    cells: { wants: "WORDS", says: "the cells of a benchmark whose names have these words" },
    software: { says: "of gpu: take a software adapter" },
    dim: { wants: "A,B", otherwise: "64", says: "of gpu: sizes of a head" },
    html: { says: "draw one page of what is stored; measures only what --only or --all says" },
    all: { says: "of --html: measure everything first" },
  },
} as const;

const { values: given } = called(COMMAND);
const { only, cells, quick, software, html } = given;
const sizes = given.dim.split(",");
const noSize = sizes.find((d) => !isCount(d, 1));
if (noSize !== undefined) stop(new UsageError(`--dim: "${noSize}" is no size of a head`));
const dims = sizes.map(Number);
const measures = !html || only !== undefined || given.all;
if (only !== undefined && !Object.hasOwn(BENCHMARKS, only)) {
  stop(new UsageError(`no benchmark "${only}": there are ${Object.keys(BENCHMARKS).join(", ")}`));
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
