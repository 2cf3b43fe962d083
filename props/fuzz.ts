/**
 * `deno task fuzz`: the laws for as long as one likes, spread over workers.
 *
 * deno task fuzz programs --runs 1000000 --seed 1 --device wasm      or   webgpu-software
 * deno task fuzz climb --evaluations 100000 --seed 1 --only rtn
 *
 * `programs` runs random programs under random schedules (`props/fuzz/programs.ts`). They come in
 * batches, each with a seed of its own; a failure prints the smallest program found, its inputs, its
 * schedule and the arguments that repeat its batch. `climb` climbs towards the bound of every codec
 * (`props/climbs.ts`) and prints how close it came. What either finds becomes a pinned example.
 * @module
 */
import process from "node:process";
import { called, stop, UsageError } from "../cli/options.ts";
import { seedNow } from "./check.ts";
import { CLAIM_CLIMBS, CLIMBS } from "./climbs.ts";
import { count, WANTED } from "./coverage.ts";
import { spread } from "./fuzz/pool.ts";
import { DEVICES, type Job } from "./fuzz/worker.ts";

/** Programs of one batch. */
const BATCH = 500;
/** From here on a kind of node that never occurred is a failure of the generator. */
const ENOUGH = 2 * BATCH;

const COMMAND = {
  usage: `deno task fuzz [programs | climb] [options]

programs   random programs under random schedules, the default
climb      towards the bound of every codec, to see how close an error comes
`,
  words: 1,
  flags: {
    runs: { wants: "N", from: 1, otherwise: 10000, says: "of programs: how many" },
    device: { wants: "NAME", otherwise: "wasm", says: `of programs: ${DEVICES.join(" or ")}` },
    evaluations: {
      wants: "N",
      from: 1,
      otherwise: 100000,
      says: "of climb: how many for each codec",
    },
    only: { wants: "PART", otherwise: "", says: "of climb: what has this in its name" },
    seed: { wants: "N", from: 0, says: "repeats a run; another one each time if not given" },
    workers: {
      wants: "N",
      from: 1,
      otherwise: navigator.hardwareConcurrency,
      says: "how many processes share the work",
    },
  },
} as const;

const { values: given, words: [mode = "programs"] } = called(COMMAND);
const { seed = seedNow(), workers } = given;
const started = performance.now();
const seconds = (): string => `${((performance.now() - started) / 1000).toFixed()} s`;

type Counts = Map<string, number>;
const shown = (counts: Counts): string =>
  [...counts].sort(([, a], [, b]) => b - a).map(([what, n]) => `${String(n).padStart(9)}  ${what}`)
    .join("\n");

/** Random programs; the number of failures. */
const programs = async (): Promise<number> => {
  const { runs } = given;
  const device = DEVICES.find((d) => d === given.device);
  if (device === undefined) {
    return stop(new UsageError(`--device: "${given.device}" is none of ${DEVICES.join(", ")}`));
  }
  console.log(`${runs} programs on ${device}, seed ${seed}, ${workers} workers`);
  const batches = Array.from({ length: Math.ceil(runs / BATCH) }, (_, i): Job => {
    const batch = { seed: seed + i, runs: Math.min(BATCH, runs - i * BATCH) };
    return { mode: "programs", device, batch };
  });
  const [kinds, fates]: Counts[] = [new Map(), new Map()];
  let [done, said, failures] = [0, 0, 0];
  await spread(batches, workers, (_, answer) => {
    if (answer.mode !== "programs") return;
    const { seen } = answer;
    seen.kinds.forEach((n, kind) => count(kinds, kind, n));
    seen.fates.forEach((n, fate) => count(fates, fate, n));
    seen.failures.forEach((text) => console.error(`\nFAILED ${text}`));
    failures += seen.failures.length;
    done += seen.programs;
    if (done - said < runs / 20) return;
    said = done;
    console.log(`${done} programs, ${failures} failures, ${seconds()}`);
  });
  const missing = runs < ENOUGH ? [] : WANTED.filter((kind) => !kinds.has(kind));
  console.log(`\nnodes by kind\n${shown(kinds)}\n\nprograms by fate\n${shown(fates)}`);
  if (missing.length > 0) console.error(`\nnever seen: ${missing.join(", ")}`);
  console.log(`\n${done} programs, ${failures} failures, seed ${seed}, ${seconds()}`);
  return failures + missing.length;
};

/** Climbs; the number of bounds that were passed. */
const climb = async (): Promise<number> => {
  const { evaluations } = given;
  const names = Object.keys({ ...CLIMBS, ...CLAIM_CLIMBS }).filter((name) =>
    name.includes(given.only)
  );
  if (names.length === 0) stop(new UsageError(`--only: nothing has "${given.only}" in its name`));
  console.log(`${evaluations} evaluations for each of ${names.length}, seed ${seed}`);
  const jobs = names.map((what): Job => ({ mode: "climb", what, seed, evaluations }));
  let [passed, top] = [0, 0];
  await spread(jobs, workers, (job, answer) => {
    if (job.mode !== "climb" || answer.mode !== "climb") return;
    const { ratio, text } = answer;
    console.log(`${ratio.toFixed(6)}  ${job.what}, from ${text}`);
    if (ratio > 1) console.error(`PASSED: ${job.what}, ${ratio} of the bound, ${text}`);
    passed += ratio > 1 ? 1 : 0;
    top = Math.max(top, ratio);
  });
  console.log(`\n${passed} bounds passed, closest ${top}, seed ${seed}, ${seconds()}`);
  return passed;
};

const MODES = { programs, climb };
if (!Object.hasOwn(MODES, mode)) {
  stop(new UsageError(`no mode "${mode}": there are ${Object.keys(MODES).join(", ")}`));
}
if (await MODES[mode as keyof typeof MODES]() > 0) process.exit(1);
