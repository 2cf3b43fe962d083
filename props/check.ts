/**
 * Binds a property to a test. A failure prints its seed; `KVFOLD_SEED=<seed>` runs it again.
 *
 * ```text
 * on a developer's machine   new inputs every run
 * with CI=true               the same every run: it says whether a change broke something
 * deno task fuzz             new inputs for as long as one likes
 * ```
 * @module
 */
import fc from "fast-check";
import process from "node:process";

const { KVFOLD_SEED: given, CI: inCi } = process.env;
/** That of every run in CI, unless one is given. */
const IN_CI = 2405_12591;
const seed = given !== undefined
  ? Number(given)
  : inCi === "true"
  ? IN_CI
  : Date.now() & 0x7fffffff;

/**
 * The seed of this run; see the head of the file. With a name, another for every
 * name: things of one kind do not all meet the same inputs.
 */
export const seedNow = (name = ""): number =>
  [...name].reduce((hash, c) => Math.imul(hash, 31) + c.charCodeAt(0) | 0, seed) & 0x7fffffff;

/**
 * Runs a property, pinned examples first; throws with the seed and the smallest counterexample. The
 * name of the thing it is about, if given, chooses its inputs.
 */
export const hold = async <T>(
  property: fc.IRawProperty<T, boolean>,
  runs: number,
  examples: readonly T[] = [],
  name = "",
): Promise<void> => {
  const result = await fc.check(property, {
    seed: seedNow(name),
    numRuns: runs,
    examples: [...examples],
  });
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
