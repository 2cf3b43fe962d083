/**
 * Where the numbers of a schedule come from, and which a tuner tries.
 *
 * ```text
 * default {chunk: 256, lanes: 64, …} ◀ tuned {chunk: 128} ◀ given {lanes: 32}
 *   ──▶ chunk 128 (tuned), lanes 32 (given), …
 * ```
 * @module
 */
import { CompileError } from "./errors.ts";
import { SCHEDULE, type Schedule, type Target } from "./kernel.ts";

/** Who chose a number: the default, who compiled, or {@link Chosen} by a tuner. */
export type Origin = "default" | "given" | "tuned";

/** A schedule, and where each number of it comes from. */
export interface Chosen {
  readonly schedule: Schedule;
  readonly from: Readonly<Record<keyof Schedule, Origin>>;
}

/** Choices of some numbers of a schedule. */
export type Candidates = { readonly [K in keyof Schedule]?: readonly Schedule[K][] };

const NAMES = Object.keys(SCHEDULE) as readonly (keyof Schedule)[];

/**
 * What a tuner tries where nothing else is asked; a new number does not compile until it stands here. An
 * empty list is never tried: how exact the arithmetic is, is not for a clock to say.
 */
export const CANDIDATES: Required<Candidates> = {
  chunk: [64, 128, 256, 512, 1024, 2048],
  fixed: [],
  lanes: [32, 64],
  queries: [1, 8, 32],
  rows: [2, 4, 8],
  splits: [32, 128, 512],
};

/** What a number is a multiple of, where that is more than 1. */
const UNITS: Partial<Record<keyof Schedule, number>> = { rows: 2 };

/** Why given numbers are none of a schedule, if they are not. */
export const refusedSchedule = (given: Partial<Schedule>): CompileError | undefined => {
  for (const [name, value] of Object.entries(given)) {
    const known = NAMES.find((k) => k === name);
    if (known === undefined) {
      return new CompileError("schedule", `${name} is not one of ${NAMES.join(", ")}`);
    }
    const unit = UNITS[known] ?? 1;
    const fits = known === "fixed"
      ? [false, 8, 16].includes(value)
      : Number.isInteger(value) && Number(value) > 0 && Number(value) % unit === 0;
    if (fits) continue;
    const wanted = known === "fixed"
      ? "16, 8 or false"
      : `a positive ${unit === 1 ? "integer" : `multiple of ${unit}`}`;
    return new CompileError("schedule", `${name} is ${value}, not ${wanted}`);
  }
  return undefined;
};

/** The numbers that a target takes by default. */
export const defaultsOf = (target: Target): Schedule => ({ ...SCHEDULE, ...target.schedule });

/** Numbers that were given, else tuned, else the default. */
export const chosen = (
  given: Partial<Schedule>,
  tuned: Partial<Schedule>,
  defaults: Schedule = SCHEDULE,
): Chosen => ({
  schedule: { ...defaults, ...tuned, ...given },
  from: Object.fromEntries(
    NAMES.map((k) => [k, k in given ? "given" : k in tuned ? "tuned" : "default"]),
  ) as Chosen["from"],
});

/** Numbers and their origins as text. */
export const scheduleText = ({ schedule, from }: Chosen): string =>
  NAMES.map((k) => `  ${k} ${JSON.stringify(schedule[k])} (${from[k]})`).join("\n");
