/**
 * What one scheme does to a model that reads a text on a cache it holds, in slices of equal length.
 *
 * ```text
 * bits        a value, derived from what is stored of a slice; K and V averaged
 * K, V, out   ‖x − x̂‖ / ‖x‖ over all layers and slices: keys, values, attention's output
 * certified   the same of K and V with the certified bound of the error in place of the error
 * KLD         mean divergence from the f32 cache, nats a token; `worst` exceeded by one token in a thousand
 * ΔPPL        perplexity over that of the f32 cache, less 1
 * ```
 * @module
 */
import { bitsOf, type Codec, codecBound, compile, F32, input, type Program } from "../../mod.ts";
import { cacheShape } from "../../models/llama.ts";
import {
  DEVIATION,
  type Deviation,
  deviation,
  meanKld,
  perplexity,
  relative,
  sameTop,
  SCORE,
  score,
  tailKld,
} from "../../models/quality.ts";
import { EXACT, MEASURED, type Run, type Runner, type Seen } from "../../models/runner.ts";
import { BASE, type Entry } from "./entries.ts";

/** One token in a thousand may be further off than `worst`. */
const WORST = 1e-3;

/** What is found out about an entry. */
export interface Quality {
  readonly bits: number;
  /** Bytes stored of all slices, padding included. */
  readonly bytes: number;
  readonly k: number;
  readonly v: number;
  readonly out: number;
  readonly certifiedK: number;
  readonly certifiedV: number;
  readonly kld: number;
  readonly worst: number;
  readonly deltaPpl: number;
  readonly same: number;
}

/** A text in slices, and how the model reads each on the f32 cache. */
export interface Reading {
  readonly slices: readonly (readonly number[])[];
  readonly exact: readonly Run[];
  /** Perplexity on the f32 cache. */
  readonly perplexity: number;
}

/** `count` slices of a text, as long as it and the context allow. */
export const sliced = (
  ids: readonly number[],
  count: number,
  most: number,
): readonly (readonly number[])[] => {
  const length = Math.min(most, Math.floor(ids.length / count));
  return Array.from({ length: count }, (_, i) => ids.slice(i * length, (i + 1) * length));
};

const scored = (runner: Runner, slices: Reading["slices"], runs: readonly Run[], base = runs) =>
  runs.map(({ logits }, i) =>
    score(logits, base[i]!.logits, runner.config.vocabSize, slices[i]!.slice(1))
  ).reduce(SCORE.concat, SCORE.empty);

/** Reads the slices on the f32 cache. */
export const readText = async (runner: Runner, slices: Reading["slices"]): Promise<Reading> => {
  const exact: Run[] = [];
  for (const slice of slices) exact.push(await runner.run(slice, EXACT, { see: true }));
  return { slices, exact, perplexity: perplexity(scored(runner, slices, exact)) };
};

const errorOf = (runs: readonly Run[], what: keyof Seen): number =>
  relative(
    runs.flatMap(({ layers }) => layers)
      .map(({ seen }) => deviation(seen![what][0], seen![what][1]))
      .reduce(DEVIATION.concat, DEVIATION.empty),
  );

/** Σ bound² and Σ x² over one layer. */
const bounded = (bound: Float64Array, x: Float64Array): Deviation => ({
  error: bound.reduce((s, b) => s + b * b, 0),
  size: x.reduce((s, b) => s + b * b, 0),
});

const certified = async (
  codec: Codec,
  runner: Runner,
  reading: Reading,
  of: "k" | "v",
): Promise<number> => {
  if (codec === BASE.k) return 0;
  const shape = cacheShape(runner.config);
  const x = input("x", shape, "f32");
  const norm = codecBound(codec, x, codec.encode(x), { machine: F32, norm: [2] });
  const program: Program = await compile({ norm }, { schedule: MEASURED });
  const layers = reading.exact.flatMap((run) => run.layers.map(({ seen }) => seen![of][0]));
  const found: Deviation[] = [];
  for (const values of layers) {
    found.push(bounded((await program.values({ x: values })).norm, values));
  }
  return relative(found.reduce(DEVIATION.concat, DEVIATION.empty));
};

/** Everything about one entry. */
export const measure = async (
  { k, v }: Entry,
  runner: Runner,
  reading: Reading,
): Promise<Quality> => {
  const { slices, exact } = reading;
  const runs: Run[] = [];
  for (const slice of slices) runs.push(await runner.run(slice, { k, v }, { see: true }));
  const found = scored(runner, slices, runs, exact);
  const shape = cacheShape(runner.config);
  const sizes = { tokens: slices[0]!.length };
  return {
    bits: (bitsOf(k, shape, sizes) + bitsOf(v, shape, sizes)) / 2,
    bytes: runs.flatMap(({ layers }) => layers).reduce((n, l) => n + l.kBytes + l.vBytes, 0),
    k: errorOf(runs, "k"),
    v: errorOf(runs, "v"),
    out: errorOf(runs, "attention"),
    certifiedK: await certified(k, runner, reading, "k"),
    certifiedV: await certified(v, runner, reading, "v"),
    kld: meanKld(found),
    worst: tailKld(found, WORST),
    deltaPpl: perplexity(found) / reading.perplexity - 1,
    same: sameTop(found),
  };
};
