/**
 * Binds a property to a test. A failure prints its seed; `KVFOLD_SEED=<seed>` runs it again.
 * @module
 */
import fc from "fast-check";
import process from "node:process";

/** Registers a property; the seed is new every time unless the environment gives one. */
export const check = <T>(name: string, property: fc.IRawProperty<T, false>, runs = 200): void =>
  Deno.test(name, () => {
    const given = process.env.KVFOLD_SEED;
    const seed = given === undefined ? Date.now() & 0x7fffffff : Number(given);
    const result = fc.check(property, { seed, numRuns: runs });
    if (!result.failed) return;
    throw new Error(`KVFOLD_SEED=${seed}\n${fc.defaultReportMessage(result)}`);
  });
