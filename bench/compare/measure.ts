/**
 * What one scheme does to a model that reads a text on a cache it holds, in slices of equal length.
 *
 * ```text
 * bits        a value, derived from what is stored of a slice; K, V and layers averaged
 * K, V, out   ‖x − x̂‖ / ‖x‖ over all layers and slices: keys, values, attention's output
 * certified   the same of K and V with the certified bound of the error in place of the error
 * claimed     what it is at most for any K and V, known before a text is read; the largest of all layers
 * KLD         mean divergence from the f32 cache, nats a token; `worst` exceeded by one token in a thousand
 * ΔPPL        perplexity over that of the f32 cache, less 1
 * ```
 *
 * A scheme that chooses tokens chooses when a prompt ends (`prompted`): half a slice is read exactly, then stored,
 * and all but the bits is of the other half, read on what is stored of both. Bits are those of the prompt.
 * @module
 */
import {
  bitsOf,
  type Codec,
  codecBound,
  codecClaim,
  compile,
  constant,
  F32,
  identity,
  input,
  type Term,
  ValueError,
} from "../../mod.ts";
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

type Side = "k" | "v";

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
  readonly claimed: number;
  readonly kld: number;
  readonly worst: number;
  readonly deltaPpl: number;
  readonly same: number;
}

/** Slices in a prompt and what comes after it, for schemes that drop tokens of the prompt when it ends. */
export interface Halves {
  /** Tokens of a prompt. */
  readonly prompt: number;
  /** What comes after it. */
  readonly rest: Reading["slices"];
  /** The prompts on the f32 cache. */
  readonly read: readonly Run[];
  /** What comes after them, on the f32 cache. */
  readonly exact: readonly Run[];
}

/** A text in slices, and how the model reads each on the f32 cache. */
export interface Reading {
  readonly slices: readonly (readonly number[])[];
  readonly exact: readonly Run[];
  /** Perplexity on the f32 cache. */
  readonly perplexity: number;
  /** The same after prompts of half a slice. */
  readonly halves: Halves;
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

/** The halves of slices; what comes after a prompt is as it was in the whole slice. */
const halved = async (
  runner: Runner,
  slices: Reading["slices"],
  whole: readonly Run[],
): Promise<Halves> => {
  const prompt = slices[0]!.length >> 1;
  const read: Run[] = [];
  for (const slice of slices) {
    read.push(await runner.run(slice.slice(0, prompt), EXACT, { see: true }));
  }
  const exact = whole.map(({ logits, layers }) => ({
    logits: logits.subarray(prompt * runner.config.vocabSize),
    layers,
  }));
  return { prompt, rest: slices.map((slice) => slice.slice(prompt)), read, exact };
};

/** Reads the slices on the f32 cache. */
export const readText = async (runner: Runner, slices: Reading["slices"]): Promise<Reading> => {
  const exact: Run[] = [];
  for (const slice of slices) exact.push(await runner.run(slice, EXACT, { see: true }));
  return {
    slices,
    exact,
    perplexity: perplexity(scored(runner, slices, exact)),
    halves: await halved(runner, slices, exact),
  };
};

/** Σ bound² and Σ x² over one layer. */
const bounded = (bound: Float64Array, x: Float64Array): Deviation => ({
  error: bound.reduce((s, b) => s + b * b, 0),
  size: x.reduce((s, b) => s + b * b, 0),
});

/** The bound of each token's norm; nothing where none is known (a basis made of values that are off). */
const boundTerm = (codec: Codec, x: Term): Term | undefined => {
  if (codec === identity) return constant(0, x.shape.slice(0, 2));
  try {
    return codecBound(codec, x, codec.encode(x), { machine: F32, norm: [2] });
  } catch (error) {
    if (error instanceof ValueError) return undefined;
    throw error;
  }
};

/** Norms of certified errors over norms of what was stored in these runs, all layers of all slices. */
const certified = async (
  held: (layer: number) => Codecs,
  runner: Runner,
  runs: readonly Run[],
  of: Side,
): Promise<number> => {
  const x = input("x", cacheShape(runner.config), "f32");
  const found: Deviation[] = [];
  for (let layer = 0; layer < runner.config.layers; layer++) {
    const codec = held(layer)[of];
    // Equal terms are the same, so a codec that all layers share is compiled once.
    const norm = boundTerm(codec, x);
    if (norm === undefined) return Infinity;
    const program = await compile({ norm }, { schedule: MEASURED });
    for (const { layers } of runs) {
      const { seen, salience } = layers[layer]!;
      const values = seen![of][0];
      const tokens = values.length / (runner.config.kvHeads * runner.config.headDim);
      const inputs = salience === undefined ? { x: values } : { x: values, salience };
      found.push(bounded((await program.values(inputs, { tokens })).norm!, values));
    }
  }
  return relative(found.reduce(DEVIATION.concat, DEVIATION.empty));
};

/** An entry's codecs of all layers. */
const codecsOf = (held: Entry["held"], layers: number, later?: number): readonly Codecs[] =>
  Array.from({ length: layers }, (_, layer) => held(layer, later));

/** What codecs lose of any keys and values at most, relative to them. */
const claimed = (codecs: readonly Codec[], heads: number, channels: number): number =>
  Math.max(
    ...[...new Set(codecs)].map((codec) =>
      codecClaim(codec, { heads, channels })?.relative ?? Infinity
    ),
  );

/** Everything about one entry. */
export const measure = async (
  { held, prompted = false }: Entry,
  runner: Runner,
  { slices, exact, perplexity: plain, halves }: Reading,
): Promise<Quality> => {
  const { config } = runner;
  const later = prompted ? slices[0]!.length - halves.prompt : undefined;
  const own = codecsOf(held, config.layers, later);
  const runs: Run[] = [];
  for (const [i, slice] of slices.entries()) {
    runs.push(
      prompted
        ? await runner.run(halves.rest[i]!, (layer) => own[layer]!, {
          see: true,
          after: halves.read[i]!,
        })
        : await runner.run(slice, (layer) => own[layer]!, { see: true }),
    );
  }
  const [texts, base] = prompted ? [halves.rest, halves.exact] : [slices, exact];
  const found = scored(runner, texts, runs, base);
  const layers = runs.flatMap((run) => run.layers);
  const shape = cacheShape(config);
  const sizes = { tokens: prompted ? halves.prompt : slices[0]!.length };
  const codecs = codecsOf(held, config.layers).flatMap(({ k, v }) => [k, v]);
  const usual = prompted ? perplexity(scored(runner, texts, base)) : plain;
  return {
    bits: codecs.reduce((n, codec) => n + bitsOf(codec, shape, sizes), 0) / codecs.length,
    bytes: layers.reduce((n, l) => n + l.kBytes + l.vBytes, 0),
    k: errorOf(layers, "k"),
    v: errorOf(layers, "v"),
    out: errorOf(layers, "attention"),
    certifiedK: await certified((layer) => own[layer]!, runner, runs, "k"),
    certifiedV: await certified((layer) => own[layer]!, runner, runs, "v"),
    claimed: claimed(codecs, config.kvHeads, config.headDim),
    kld: meanKld(found),
    worst: tailKld(found, WORST),
    deltaPpl: perplexity(found) / usual - 1,
    same: sameTop(found),
  };
};
