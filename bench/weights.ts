/**
 * What do few bits cost a model, in its weights, in its activations and cache, and in both? Weights are fitted
 * to one part of a text and the model reads another; the same groups of 64 for everything, so that schemes
 * differ in how they choose codes and not in what they store.
 *
 * - `weights`: what stores the linear maps of the layers (embedding and norms stay f32), bits a weight.
 * - `A`: bits of the inputs of linear maps, rounded as they come, and of K and V; 16 stands for f32.
 * - `KLD`: mean divergence from f32, nats; `ΔPPL`: perplexity against it, percent.
 *
 * The embedded text is short: `KVFOLD_TEXT=<file>` takes a longer one, eight windows of it to fit and four to read.
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import {
  awq,
  type Bits,
  type Codec,
  decoquantB,
  decoquantRows,
  gptqWeights,
  identity,
  nearest,
  nearestGroups,
  quantize,
  quantizeGroups,
  rtnGrouped,
  smoothquant,
  type WeightScheme,
} from "../mod.ts";
import { fitWeights } from "../models/compress.ts";
import { loadModel, loadTokenizer, WIKI4M } from "../models/load.ts";
import type { FittedWeights } from "../models/precision.ts";
import { meanKld, perplexity, sameTop, SCORE, type Score, score } from "../models/quality.ts";
import { type Codecs, EXACT, MEASURED, openRunner } from "../models/runner.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

const GROUP = 64;

/** Ways to store weights in groups, by name. */
const SCHEMES: Readonly<Record<string, (bits: Bits) => WeightScheme>> = {
  RTN: (bits) => nearestGroups(bits, GROUP),
  SmoothQuant: (bits) => smoothquant({ bits, codec: quantizeGroups(bits, GROUP) }),
  GPTQ: (bits) => gptqWeights({ bits, group: GROUP }),
  "GPTQ act-order": (bits) => gptqWeights({ bits, group: GROUP, actOrder: true }),
  AWQ: (bits) => awq({ bits, group: GROUP, unclipped: ["wq", "wk"] }),
};

/** What rounds activations and holds the cache. */
interface Seen {
  readonly name: string;
  readonly activations?: Codec;
  readonly cache: Codecs;
}

const both = (codec: Codec): Codecs => ({ k: codec, v: codec });
const FULL: Seen = { name: "16", cache: EXACT };
const grouped = (bits: Bits): Seen => ({
  name: `${bits}`,
  activations: quantizeGroups(bits, GROUP),
  cache: both(rtnGrouped(bits, GROUP)),
});
const perToken = (bits: Bits): Seen => ({
  name: `${bits}, a token`,
  activations: quantize({ bits, per: "token", range: "symmetric" }),
  cache: both(quantize({ bits, per: "token", range: "symmetric" })),
});
const decomposed = (bits: Bits): Seen => ({
  name: `cache ${bits}, DecoQuant B`,
  cache: both(decoquantB(bits)),
});
/** The rows and all that the maps read, each matrix of activations decomposed as it comes. */
const decomposedAll = (bits: Bits): Seen => ({
  name: `${bits}, DecoQuant B`,
  activations: decoquantRows(bits),
  cache: both(decoquantB(bits)),
});

/** Their papers' form: one symmetric scale a row of weights and a token of activations. */
const ROWS: Readonly<
  Record<string, readonly [(bits: Bits) => WeightScheme, (bits: Bits) => Seen]>
> = {
  "RTN, a row": [
    (bits) => nearest(quantize({ bits, per: "token", range: "symmetric" })),
    perToken,
  ],
  "SmoothQuant, a row": [(bits) => smoothquant({ bits }), perToken],
  "DecoQuant, a row": [(bits) => nearest(decoquantRows(bits)), decomposedAll],
};

/** The question of the head of the file. */
export const weightsBench: Benchmark = async ({ quick }: Ask) => {
  const file = process.env.KVFOLD_TEXT;
  const text = readFileSync(
    file ?? new URL("../models/text/lighthouses.txt", import.meta.url),
    "utf8",
  );
  const model = loadModel(WIKI4M);
  const [length, fits, reads] = quick
    ? [48, 1, 1]
    : file === undefined
    ? [850, 2, 1]
    : [1024, 8, 4];
  const ids = loadTokenizer(WIKI4M).encode(text).slice(1, 1 + length * (fits + reads));
  const windows = Array.from(
    { length: fits + reads },
    (_, i) => ids.slice(i * length, (i + 1) * length),
  );
  const [fitted, read] = [windows.slice(0, fits), windows.slice(fits)];
  const widths: readonly Bits[] = quick ? [4] : [8, 4, 3, 2];
  const { vocabSize } = model.config;
  const exact = await openRunner(model);
  const baseline: Float32Array[] = [];
  for (const window of read) baseline.push((await exact.run(window)).logits);
  exact.close();
  const scored = (logits: readonly Float32Array[]): Score =>
    logits.map((x, i) => score(x, baseline[i]!, vocabSize, read[i]!.slice(1)))
      .reduce(SCORE.concat, SCORE.empty);
  const base = perplexity(scored(baseline));

  const rows: Row[] = [];
  const measured = async (
    name: string,
    held: FittedWeights | undefined,
    seens: readonly Seen[],
  ): Promise<void> => {
    for (const { name: seen, activations, cache } of seens) {
      const runner = await openRunner(model, undefined, MEASURED, {
        ...held === undefined ? {} : { weights: held },
        ...activations === undefined ? {} : { activations },
      });
      const logits = [];
      for (const window of read) logits.push((await runner.run(window, cache)).logits);
      runner.close();
      const found = scored(logits);
      rows.push({
        weights: name,
        bits: held?.bits ?? 32,
        A: seen,
        KLD: meanKld(found),
        "ΔPPL %": 100 * (perplexity(found) / base - 1),
        "same top-1": sameTop(found),
      });
    }
  };
  const fit = async (name: string, scheme: WeightScheme, seens: readonly Seen[]): Promise<void> => {
    const held = await fitWeights(model, scheme, fitted);
    try {
      await measured(name, held, seens);
    } finally {
      held.close();
    }
  };
  for (const bits of widths) {
    for (const [name, scheme] of Object.entries(SCHEMES)) {
      await fit(`${name} ${bits}`, scheme(bits), [FULL, grouped(bits)]);
    }
    for (const [name, [scheme, seen]] of Object.entries(ROWS)) {
      await fit(`${name} ${bits}`, scheme(bits), [FULL, seen(bits)]);
    }
    const seens = [grouped, perToken, decomposed, decomposedAll].map((seen) => seen(bits));
    await measured("f32", undefined, seens);
    // Smoothed channels are easier to round in activations as well: the weights stay as they are.
    const smoothed = smoothquant({ bits, codec: identity });
    await fit("SmoothQuant, not rounded", smoothed, [grouped(bits), perToken(bits)]);
  }
  return [{
    title: `weights of wiki4m, fitted on ${fits} windows of ${length} tokens, read on ${reads}: ` +
      `perplexity ${base} in f32`,
    rows,
  }];
};
