/**
 * Which schedule is the fastest here? Candidates are timed on the device that will run them, and the best
 * is remembered by program and device: in this process, and in a folder for those to come.
 *
 * One number after another is changed while the others stay at the best so far, so that n numbers of m
 * choices cost about n·m programs and not mⁿ. A choice that changes no kernel's text is not timed. Two
 * programs take turns, and one wins if it is faster by {@link MARGIN} in three rounds of four: where the
 * clock says nothing, the schedule stays as it is.
 * @module
 */
import type { Sizes } from "../dsl/core/shape.ts";
import { printAll } from "../dsl/read/print.ts";
import type { Given } from "./bind.ts";
import type { Schedule } from "./kernel.ts";
import type { Outputs } from "./pipeline.ts";
import type { Program } from "./program.ts";
import type { Device } from "./runtime/device.ts";
import { fromFolder, toFolder } from "./runtime/folder.ts";
import { CANDIDATES, type Candidates } from "./schedule.ts";

/** What tuning found. */
export interface Tuned {
  /** The numbers that were tried, each at its best. */
  readonly schedule: Partial<Schedule>;
  /** Were they timed now, or known from before? */
  readonly from: "measured" | "memory" | "folder";
}

/** Ratio of times below which a candidate wins. */
export const MARGIN = 0.97;

/** A program with a schedule, as the search sees it. */
export interface Entrant {
  readonly text: string;
  readonly program: Program;
}

type Names = readonly (keyof Schedule)[];

/** Climbs number by number; `race` says how long the second takes, of what the first takes. */
export const search = async <E extends { readonly text: string }>(
  start: Schedule,
  candidates: Candidates,
  make: (schedule: Schedule) => Promise<E>,
  race: (best: E, other: E) => Promise<number>,
): Promise<Schedule> => {
  let best = { schedule: start, entrant: await make(start) };
  const seen = new Set([best.entrant.text]);
  for (const name of Object.keys(candidates) as Names) {
    for (const choice of candidates[name] ?? []) {
      const schedule = { ...best.schedule, [name]: choice };
      const entrant = await make(schedule);
      if (seen.has(entrant.text)) continue;
      seen.add(entrant.text);
      if (await race(best.entrant, entrant) < MARGIN) best = { schedule, entrant };
    }
  }
  return best.schedule;
};

/** Engines replace a kernel in the background: this long before anything counts. */
const WARM_MS = 40;
const ROUNDS = 21;

/** How long `other` takes, of what `best` takes in the same round: no more in three rounds of four. */
const raced = async (
  best: Program,
  other: Program,
  inputs: Readonly<Record<string, Given>>,
  sizes: Sizes | undefined,
): Promise<number> => {
  using a = best.record(inputs, sizes);
  using b = other.record(inputs, sizes);
  const timed = [a, b].map((recording) => {
    const small = Object.values(recording.outputs).reduce((x, y) =>
      y.memory.words < x.memory.words ? y : x
    );
    return async (): Promise<number> => {
      const start = performance.now();
      await recording.replay();
      // A run may still be under way when the call returns; a read is not over before it.
      await recording.device.read([small.memory]);
      return performance.now() - start;
    };
  });
  for (const run of timed) {
    const end = performance.now() + WARM_MS;
    for (let i = 0; i < 4 || performance.now() < end; i++) {
      await run();
      await new Promise((done) => setTimeout(done, 0));
    }
  }
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const times = [0, 0];
    for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) times[i] = await timed[i]();
    ratios.push(times[1] / times[0]);
  }
  return ratios.sort((x, y) => x - y)[Math.floor(0.75 * ROUNDS)];
};

/** Most programs whose schedule is remembered. */
const KEPT = 256;
/** Terms are held: equal outputs keep their number for as long as they are remembered. */
const known = new Map<
  string,
  { readonly outputs: Outputs; readonly asked: string; readonly schedule: Partial<Schedule> }
>();

const keyOf = (outputs: Outputs, device: Device): string => {
  const terms = Object.entries(outputs).map(([name, term]) => [name, term.id]);
  return JSON.stringify([device.name, device.description, terms]);
};

/** What is remembered of a program. */
export const tunedOf = (outputs: Outputs, device: Device): Partial<Schedule> =>
  known.size === 0 ? {} : known.get(keyOf(outputs, device))?.schedule ?? {};

const remember = (
  outputs: Outputs,
  device: Device,
  asked: string,
  schedule: Partial<Schedule>,
): void => {
  const key = keyOf(outputs, device);
  known.delete(key);
  known.set(key, { outputs, asked, schedule });
  if (known.size > KEPT) known.delete(known.keys().next().value!);
};

/** No stored schedule is longer. */
const MOST_BYTES = 4096;

/** A stored schedule, if each number of it is one that was asked for. */
export const parseSchedule = (
  bytes: Uint8Array,
  asked: Candidates,
): Partial<Schedule> | undefined => {
  if (bytes.length > MOST_BYTES) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const names = Object.keys(asked) as Names;
  const numbers = new Map(Object.entries(value));
  const fits = numbers.size === names.length &&
    names.every((k) => (asked[k] as readonly unknown[]).includes(numbers.get(k)));
  return fits ? Object.fromEntries(numbers) as Partial<Schedule> : undefined;
};

/** What is asked of a tuner. */
export interface Tuning {
  readonly inputs: Readonly<Record<string, Given>>;
  readonly sizes?: Sizes | undefined;
  readonly candidates?: Candidates | undefined;
  readonly folder?: string | undefined;
}

/** Candidates without the numbers that are given, each with where the search starts among its choices. */
const askedFor = (
  candidates: Candidates,
  given: Partial<Schedule>,
  start: Schedule,
): Candidates =>
  Object.fromEntries(
    Object.entries(candidates)
      .filter(([name, choices]) => choices.length > 0 && !(name in given))
      .map(([name, choices]) => {
        const first = start[name as keyof Schedule];
        return [name, [first, ...(choices as readonly unknown[]).filter((c) => c !== first)]];
      }),
  );

/** Finds the schedule of a program, by memory, by folder or by the clock. */
export const tuneOn = async (
  outputs: Outputs,
  device: Device,
  given: Partial<Schedule>,
  start: Schedule,
  make: (schedule: Schedule) => Promise<Entrant>,
  { inputs, sizes, candidates = CANDIDATES, folder }: Tuning,
): Promise<Tuned> => {
  const asked = askedFor(candidates, given, start);
  const question = JSON.stringify([asked, start]);
  const before = known.get(keyOf(outputs, device));
  if (before?.asked === question) return { schedule: before.schedule, from: "memory" };
  const text = ["schedule", device.name, device.description, question, ...Object.keys(outputs)]
    .concat(printAll(Object.values(outputs))).join("\n");
  const bytes = folder === undefined ? undefined : await fromFolder(folder, text);
  const stored = bytes && parseSchedule(bytes, asked);
  if (stored !== undefined) {
    remember(outputs, device, question, stored);
    return { schedule: stored, from: "folder" };
  }
  const best = await search(
    start,
    asked,
    make,
    (a, b) => raced(a.program, b.program, inputs, sizes),
  );
  const schedule = Object.fromEntries(
    (Object.keys(asked) as Names).map((name) => [name, best[name]]),
  ) as Partial<Schedule>;
  remember(outputs, device, question, schedule);
  if (folder !== undefined) {
    const bytes = new TextEncoder().encode(JSON.stringify(schedule));
    await toFolder(folder, text, bytes);
  }
  return { schedule, from: "measured" };
};
