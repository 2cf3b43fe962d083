/**
 * What one scheme does to a model that reads a text on a cache it holds, in slices of equal length.
 *
 * ```text
 * bits        a value, derived from what is stored of a slice; K, V and layers averaged
 * K, V, out   ‖x − x̂‖ / ‖x‖ over all layers and slices: keys, values, attention's output
 * certified   the same of K and V with the certified bound of the error in place of the error
 * KLD         mean divergence from the f32 cache, nats a token; `worst` exceeded by one token in a thousand
 * ΔPPL        perplexity over that of the f32 cache, less 1
 * ```
 * @module
 */
import {
  bitsOf,
  type Codec,
  codecBound,
  compile,
  constant,
  F32,
  identity,
  input,
  type Term,
  ValueError,
} from "../../mod.ts";
import { topological } from "../../dsl/core/term.ts";
import { cacheShape } from "../../models/llama.ts";
import {
  DEVIATION,
  type Deviation,
  errorOf,
  meanKld,
  perplexity,
  relative,
  sameTop,
  SCORE,
  score,
  tailKld,
} from "../../models/quality.ts";
import { type Codecs, EXACT, MEASURED, type Run, type Runner } from "../../models/runner.ts";
import type { Entry } from "./entries.ts";

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

/** Σ bound² and Σ x² over one layer. */
const bounded = (bound: Float64Array, x: Float64Array): Deviation => ({
  error: bound.reduce((s, b) => s + b * b, 0),
  size: x.reduce((s, b) => s + b * b, 0),
});

/** A bound of more terms takes minutes to compile (vector grids: every point is a comparison). */
const LARGEST = 1000;

/** The bound of each token's norm; nothing where none is known (a basis made of values that are off). */
const boundTerm = (codec: Codec, x: Term): Term | undefined => {
  if (codec === identity) return constant(0, x.shape.slice(0, 2));
  try {
    const bound = codecBound(codec, x, codec.encode(x), { machine: F32, norm: [2] });
    return topological([bound]).length > LARGEST ? undefined : bound;
  } catch (error) {
    if (error instanceof ValueError) return undefined;
    throw error;
  }
};

/** Norms of certified errors over norms of what was stored, all layers of all slices. */
const certified = async (
  held: Entry["held"],
  runner: Runner,
  { exact }: Reading,
  of: keyof Codecs,
): Promise<number> => {
  const x = input("x", cacheShape(runner.config), "f32");
  const found: Deviation[] = [];
  for (let layer = 0; layer < runner.config.layers; layer++) {
    const codec = held(layer)[of];
    // Equal terms are the same, so a codec that all layers share is compiled once.
    const norm = boundTerm(codec, x);
    if (norm === undefined) return Infinity;
    const program = await compile({ norm }, { schedule: MEASURED });
    for (const { layers } of exact) {
      const values = layers[layer]!.seen![of][0];
      const tokens = values.length / (runner.config.kvHeads * runner.config.headDim);
      found.push(bounded((await program.values({ x: values }, { tokens })).norm!, values));
    }
  }
  return relative(found.reduce(DEVIATION.concat, DEVIATION.empty));
};

/** Everything about one entry. */
export const measure = async (
  { held }: Entry,
  runner: Runner,
  reading: Reading,
): Promise<Quality> => {
  const { slices, exact } = reading;
  const runs: Run[] = [];
  for (const slice of slices) runs.push(await runner.run(slice, held, { see: true }));
  const found = scored(runner, slices, runs, exact);
  const layers = runs.flatMap((run) => run.layers);
  const shape = cacheShape(runner.config);
  const sizes = { tokens: slices[0]!.length };
  const codecs = Array.from({ length: runner.config.layers }, (_, layer) => held(layer))
    .flatMap(({ k, v }) => [k, v]);
  return {
    bits: codecs.reduce((n, codec) => n + bitsOf(codec, shape, sizes), 0) / codecs.length,
    bytes: layers.reduce((n, l) => n + l.kBytes + l.vBytes, 0),
    k: errorOf(layers, "k"),
    v: errorOf(layers, "v"),
    out: errorOf(layers, "attention"),
    certifiedK: await certified(held, runner, reading, "k"),
    certifiedV: await certified(held, runner, reading, "v"),
    kld: meanKld(found),
    worst: tailKld(found, WORST),
    deltaPpl: perplexity(found) / reading.perplexity - 1,
    same: sameTop(found),
  };
};
