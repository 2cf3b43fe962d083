/**
 * How close is the expected error to the actual one? For each scheme the expected over the measured
 * error, both a root of mean squares: a perfect model has 1. On the caches of `bounds.ts`.
 *
 * - `codec`: what is stored against what was given, by `codecVariance`.
 * - `attention`: the last queries of a window on the whole stored cache against the program without
 *   roundings, by `varianceOf`.
 *
 * All on the embedded device in f32 arithmetic.
 * @module
 */
import {
  type Codec,
  codecVariance,
  compile,
  idealOf,
  input,
  type Program,
  varianceOf,
} from "../mod.ts";
import { MEASURED } from "../models/runner.ts";
import { attention, type Cache, caches, ROWS, SCHEMES, SHAPE, synthetic } from "./bounds.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

/** A codec's reconstruction and attention over it, with what is expected and what they are held to. */
const programsOf = async (codec: Codec, tokens: number): Promise<readonly [Program, Program]> => {
  const x = input("x", SHAPE, "f32");
  const parts = codec.encode(x);
  const out = attention(codec, tokens);
  const of = { schedule: MEASURED };
  return [
    await compile(
      { actual: codec.decode(parts, SHAPE), expected: codecVariance(codec, x, parts) },
      of,
    ),
    await compile({ actual: out, ideal: idealOf(out), expected: varianceOf(out) }, of),
  ];
};

/** Sums of squares. */
interface Tally {
  readonly measured: number;
  readonly expected: number;
}

const NOTHING: Tally = { measured: 0, expected: 0 };

const plus = (a: Tally, b: Tally): Tally => ({
  measured: a.measured + b.measured,
  expected: a.expected + b.expected,
});

const tallyOf = (
  actual: Float64Array,
  exact: ArrayLike<number>,
  expected: Float64Array,
): Tally => ({
  measured: actual.reduce((sum, y, i) => sum + (y - exact[i]) ** 2, 0),
  expected: expected.reduce((sum, v) => sum + v, 0),
});

const ratio = ({ measured, expected }: Tally): number => Math.sqrt(expected / measured);

/** The question of the head of the file. */
export const expectedBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 64 : 256;
  const sets: Readonly<Record<string, readonly Cache[]>> = {
    normal: [synthetic(1, tokens, 1)],
    outlier: [synthetic(2, tokens, 30)],
    real: await caches(tokens),
  };
  const rows: Row[] = [];
  for (const { name, codec } of SCHEMES) {
    const [store, attending] = await programsOf(codec, tokens);
    let row: Row = { scheme: name };
    for (const [set, list] of Object.entries(sets)) {
      let [stored, attended] = [NOTHING, NOTHING];
      for (const { q, k, v } of list) {
        for (const x of [k, v]) {
          const { actual, expected } = await store.values({ x }, { tokens });
          stored = plus(stored, tallyOf(actual, x, expected));
        }
        const { actual, ideal, expected } = await attending.values({ q, k, v }, { tokens });
        attended = plus(attended, tallyOf(actual, ideal, expected));
      }
      row = { ...row, [`${set} codec`]: ratio(stored), [`${set} attention`]: ratio(attended) };
    }
    rows.push(row);
  }
  return [{
    title: `expected ÷ measured RMS error, ${tokens} tokens: normal numbers; channel 3 of each ` +
      `head 30 times larger; the model's K and V, 4 layers; the last ${ROWS} queries`,
    rows,
  }];
};
