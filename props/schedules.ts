/**
 * Schedules to quantify over: every choice is correct.
 * @module
 */
import fc from "fast-check";
import type { Schedule } from "../mod.ts";

/** Choices of each number of a schedule; a new one does not compile until it stands here. */
export const CHOICES: { readonly [K in keyof Schedule]: readonly Schedule[K][] } = {
  chunk: [1, 4, 13, 64, 256, 512],
  fixed: [false, 16, 8],
  lanes: [32, 64],
  queries: [1, 8, 32],
  rows: [2, 4, 8],
  splits: [1, 3, 128],
};

/** Any schedule. */
export const scheduleArb: fc.Arbitrary<Schedule> = fc.record(
  Object.fromEntries(
    Object.entries(CHOICES).map(([name, choices]) => [name, fc.constantFrom<unknown>(...choices)]),
  ),
) as unknown as fc.Arbitrary<Schedule>;
