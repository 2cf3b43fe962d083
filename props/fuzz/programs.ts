/**
 * Random programs through the laws of whole programs: a device is no further from what a term means than
 * rounding, whatever the schedule; a program is no further from its ideal than its bound, by element and
 * by 2-norm; and what a device returns no further than its certificate (one program of four).
 * @module
 */
import fc from "fast-check";
import { print } from "../../dsl/read/print.ts";
import { compile, CompileError, type Device, type Schedule } from "../../mod.ts";
import { cachedArb, cachedSample } from "../caches.ts";
import { count, kindsOf } from "../coverage.ts";
import { boundExcess, normExcess } from "../laws/bound.ts";
import { certificateOf } from "../laws/certify.ts";
import { excess } from "../laws/meaning.ts";
import { scheduleArb } from "../schedules.ts";
import { type Sample, termArb } from "../terms.ts";

/** A batch of programs. */
export interface Batch {
  readonly seed: number;
  readonly runs: number;
}

/** What a batch saw and found. */
export interface Seen {
  readonly programs: number;
  /** Node kinds, dtypes, operators and folds, by how often. */
  readonly kinds: ReadonlyMap<string, number>;
  /** What became of the programs, by how often: refusals by reason, elements without a claim. */
  readonly fates: ReadonlyMap<string, number>;
  /** The smallest program that breaks a law, in words. */
  readonly failures: readonly string[];
}

/** A refusal without what is particular to one program. */
const reasonOf = (error: CompileError): string =>
  error.message.replace(/\[[^\]]*\]/g, "[…]").replace(/"[^"]*"/g, '"…"')
    .replace(/size \w+/g, "size …").replace(/(?<!u)\b\d+/g, "#");

/** Mostly terms of any nodes; some attention over any two codecs, which is what streams are for. */
const programs: fc.Arbitrary<Sample> = fc.oneof(
  { weight: 39, arbitrary: termArb() },
  { weight: 1, arbitrary: cachedArb.map(cachedSample) },
);

/** Is a certificate asked for, and is it a sharp one? */
const certificates = fc.nat({ max: 7 }).map((n) => n < 2 ? n === 0 : undefined);

/** What became of a program; throws where one of the laws is broken. */
const fateOf = async (
  device: Device,
  { term, sizes, inputs }: Sample,
  schedule: Schedule,
  sharp: boolean | undefined,
): Promise<string> => {
  const over = boundExcess(term, { sizes, inputs });
  if (over > 0) throw new Error(`beyond the bound by ${over}`);
  term.shape.forEach((_, axis) => {
    const past = normExcess(term, axis, { sizes, inputs });
    if (past > 0) throw new Error(`beyond the bound of the 2-norm along axis ${axis} by ${past}`);
  });
  if (sharp !== undefined) {
    const verdict = await certificateOf(device, { term, sizes, inputs }, schedule, sharp);
    const off = verdict?.excess ?? 0;
    if (off > 0) throw new Error(`beyond the certificate by ${off}`);
  }
  try {
    const program = await compile({ y: term }, { device, schedule });
    const { y } = await program.values(inputs, sizes);
    const far = excess(y, term, program.outputs.y, { sizes, inputs });
    if (far > 0) throw new Error(`beyond the rounding by ${far}`);
    return far === -Infinity ? "ran, no element has a bound" : "ran within the bound";
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return `refused, ${reasonOf(error)}`;
  }
};

/** Runs a batch; its seed alone decides what is in it. */
export const runBatch = async (device: Device, { seed, runs }: Batch): Promise<Seen> => {
  const [kinds, fates] = [new Map<string, number>(), new Map<string, number>()];
  let counting = true;
  const property = fc.asyncProperty(
    programs,
    scheduleArb,
    certificates,
    async (sample, schedule, sharp) => {
      try {
        const fate = await fateOf(device, sample, schedule, sharp);
        if (!counting) return;
        kindsOf(sample.term).forEach((kind) => count(kinds, kind));
        count(fates, fate);
      } catch (error) {
        // What follows are smaller versions of the same program.
        counting = false;
        throw error;
      }
    },
  );
  const result = await fc.check(property, { seed, numRuns: runs });
  if (!result.failed) return { programs: runs, kinds, fates, failures: [] };
  const [{ term, sizes, inputs }, schedule, sharp] = result.counterexample!;
  const failure = [
    `after ${result.numRuns} programs of the batch --seed ${seed} --runs ${runs}`,
    String(result.errorInstance),
    print(term),
    `sizes ${JSON.stringify(sizes)}`,
    `inputs ${JSON.stringify(inputs)}`,
    `schedule ${JSON.stringify(schedule)}${
      sharp === undefined ? "" : `, certified, sharp ${sharp}`
    }`,
  ].join("\n");
  return { programs: result.numRuns, kinds, fates, failures: [failure] };
};
