/**
 * Binds a property to a test. A failure prints its seed; `KVFOLD_SEED=<seed>` runs it again.
 * @module
 */
import fc from "fast-check";
import process from "node:process";

/** The seed of this run: new every time unless the environment gives one. */
export const seedNow = (): number => {
  const given = process.env.KVFOLD_SEED;
  return given === undefined ? Date.now() & 0x7fffffff : Number(given);
};

/** Runs a property, pinned examples first; throws with the seed and the smallest counterexample. */
export const hold = async <T>(
  property: fc.IRawProperty<T, boolean>,
  runs: number,
  examples: readonly T[] = [],
): Promise<void> => {
  const seed = seedNow();
  const result = await fc.check(property, { seed, numRuns: runs, examples: [...examples] });
  if (!result.failed) return;
  const cause = result.errorInstance;
  const why = cause instanceof Error ? `\n${cause.message}` : "";
  throw new Error(`KVFOLD_SEED=${seed}\n${fc.defaultReportMessage(result)}${why}`, { cause });
};

/** Registers a property. */
export const check = <T>(
  name: string,
  property: fc.IRawProperty<T, boolean>,
  runs = 200,
  examples: readonly T[] = [],
): void => Deno.test(name, () => hold(property, runs, examples));
