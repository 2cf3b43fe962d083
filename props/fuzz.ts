/**
 * `deno task fuzz`: random programs through two laws for as long as one likes. A device is no further
 * from what a term means than rounding (whatever the schedule), and a program no further from its ideal
 * than its bound.
 *
 * deno task fuzz --runs 20000 --seed 1 --device wasm      or   webgpu-software
 *
 * Programs come in batches, each with a seed of its own; a failure prints the smallest program found,
 * its inputs, its schedule and the arguments that repeat its batch.
 * @module
 */
import process from "node:process";
import fc from "fast-check";
import { openWasm } from "../compiler/runtime/wasm.ts";
import { DTYPES } from "../dsl/core/dtype.ts";
import { OPS } from "../dsl/core/ops.ts";
import { type Term, topological } from "../dsl/core/term.ts";
import { print } from "../dsl/read/print.ts";
import { isLeft } from "../fp.ts";
import { compile, CompileError, type Device, openWebgpu, type Schedule } from "../mod.ts";
import { seedNow } from "./check.ts";
import { boundExcess } from "./laws/bound.ts";
import { excess } from "./laws/meaning.ts";
import { type Sample, termArb } from "./terms.ts";

const BATCH = 500;
/** From here on a kind of node that never occurred is a failure of the generator. */
const ENOUGH = 1000;

const { argv } = process;
const option = (name: string, otherwise: string): string => {
  const at = argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : argv[at + 1] ?? otherwise;
};
const runs = Number(option("runs", "10000"));
const seed = Number(option("seed", String(seedNow())));
const name = option("device", "wasm");

const open = async (): Promise<Device> => {
  // Fresh memory is NaN here: what nobody wrote is not read unnoticed.
  if (name === "wasm") return openWasm({ poison: true });
  if (name !== "webgpu-software") throw new Error(`no device "${name}": wasm or webgpu-software`);
  const opened = await openWebgpu({ software: true });
  if (isLeft(opened)) throw opened.left;
  return opened.right;
};

type Counts = Map<string, number>;
const count = (counts: Counts, what: string): unknown =>
  counts.set(what, (counts.get(what) ?? 0) + 1);

const schedules: fc.Arbitrary<Partial<Schedule>> = fc.record({
  chunk: fc.constantFrom(1, 4, 13, 64, 256),
  rows: fc.constantFrom(2, 4, 8),
  lanes: fc.constantFrom(32, 64),
  fixed: fc.boolean(),
});

/** What a term is made of. */
const kindsOf = (term: Term): readonly string[] =>
  topological([term]).flatMap((t) => [
    t.tag,
    `dtype ${t.dtype}`,
    ...(t.tag === "map" ? [`map ${t.op}`] : []),
    ...(t.tag === "fold" ? [`fold ${t.monoid}`] : []),
  ]);

const WANTED: readonly string[] = [
  ..."input constant iota map cast reshape permute broadcast slice concat gather contract fold"
    .split(" "),
  ...Object.keys(DTYPES).filter((d) => d !== "i16").map((d) => `dtype ${d}`),
  ...Object.keys(OPS).map((op) => `map ${op}`),
  ..."sum max extent gram softmax".split(" ").map((m) => `fold ${m}`),
];

/** A refusal without what is particular to one program. */
const reasonOf = (error: CompileError): string =>
  error.message.replace(/\[[^\]]*\]/g, "[…]").replace(/"[^"]*"/g, '"…"').replace(
    /size \w+/g,
    "size …",
  )
    .replace(/(?<!u)\b\d+/g, "#");

const kinds: Counts = new Map();
const refused: Counts = new Map();
let counting = true;

/** Throws where one of the laws is broken. */
const hold = async (device: Device, sample: Sample, schedule: Partial<Schedule>): Promise<void> => {
  const { term, sizes, inputs } = sample;
  const over = boundExcess(term, { sizes, inputs });
  if (over > 0) throw new Error(`beyond the bound by ${over}`);
  try {
    const program = await compile({ y: term }, { device, schedule });
    const { y } = await program.values(inputs, sizes);
    const far = excess(y, term, program.outputs.y, { sizes, inputs });
    if (far > 0) throw new Error(`beyond the rounding by ${far}`);
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    if (counting) count(refused, reasonOf(error));
  }
};

const shown = (counts: Counts): string =>
  [...counts].sort(([, a], [, b]) => b - a).map(([what, n]) => `${String(n).padStart(8)}  ${what}`)
    .join("\n");

const device = await open();
console.log(`${runs} programs on ${name}, seed ${seed}`);
const started = performance.now();
let failures = 0;
for (let done = 0, batch = 0; done < runs; done += BATCH, batch++) {
  counting = true;
  const numRuns = Math.min(BATCH, runs - done);
  const property = fc.asyncProperty(termArb(), schedules, async (sample, schedule) => {
    if (counting) kindsOf(sample.term).forEach((k) => count(kinds, k));
    try {
      await hold(device, sample, schedule);
    } catch (error) {
      // What follows are smaller versions of the same program.
      counting = false;
      throw error;
    }
  });
  const result = await fc.check(property, { seed: seed + batch, numRuns });
  if (result.failed) {
    failures++;
    const [{ term, sizes, inputs }, schedule] = result.counterexample!;
    console.error([
      `\nFAILED after ${result.numRuns} programs of the batch --seed ${
        seed + batch
      } --runs ${BATCH}`,
      String(result.errorInstance),
      print(term),
      `sizes ${JSON.stringify(sizes)}`,
      `inputs ${JSON.stringify(inputs)}`,
      `schedule ${JSON.stringify(schedule)}`,
    ].join("\n"));
  }
  if (batch % 10 === 9) {
    const seconds = (performance.now() - started) / 1000;
    console.log(
      `${done + numRuns} programs, ${failures} failures, ${seconds.toFixed()} s`,
    );
  }
}
const missing = runs < ENOUGH ? [] : WANTED.filter((k) => !kinds.has(k));
console.log(`\nnodes by kind\n${shown(kinds)}\n\nrefused programs by reason\n${shown(refused)}`);
if (missing.length > 0) console.error(`\nnever seen: ${missing.join(", ")}`);
console.log(`\n${failures} failures, seed ${seed}`);
device.close();
if (failures > 0 || missing.length > 0) process.exit(1);
