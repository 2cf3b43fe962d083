/**
 * A recording says what running says: replayed on what its inputs hold now, it gives the same words, and
 * what it made before is gone.
 * @module
 */
import type { Program, Sizes } from "../../mod.ts";

type Inputs = Readonly<Record<string, readonly number[]>>;

/**
 * The output whose replayed values are not those of a run, or nothing. Inputs are written one after the
 * other into one recording, the first of them once more at the end.
 */
export const replayBroken = async (
  program: Program,
  given: readonly Inputs[],
  sizes: Sizes,
): Promise<string | undefined> => {
  using recording = program.record(given[0], sizes);
  for (const inputs of [...given, given[0]]) {
    const expected = await program.values(inputs, sizes);
    for (const [name, tensor] of Object.entries(recording.inputs)) tensor.write(inputs[name]);
    await recording.replay();
    for (const [name, tensor] of Object.entries(recording.outputs)) {
      const values = await tensor.read();
      const at = values.findIndex((x, i) => !Object.is(x, expected[name][i]));
      if (at >= 0) return `${name}[${at}]: ${values[at]} replayed, ${expected[name][at]} run`;
    }
  }
};
