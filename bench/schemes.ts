/**
 * What does each scheme cost a real model, and what at the same bits is the better buy? The embedded model
 * reads a text on caches held by every scheme; K after RoPE and V are stored alike.
 *
 * - `bits`: a value, derived from what is stored, tokens going to infinity.
 * - `K`, `V`, `out`: ‖x − x̂‖ / ‖x‖ over all layers of keys, values and attention's output.
 * - `KLD`: mean divergence from the f32 cache, nats; `ΔPPL`: perplexity against it, percent.
 * Of `lathe rope` the mean of keys, of `kvquant rope`, `grain rope` and `kvtc` keys themselves are held as
 * they were before RoPE. `grain` (the mean, too) and `kvtc` are calibrated on what follows in the text, and hold each layer by codecs of its own.
 *
 * - `attend`: the fastest decode step on a long cache over that of `rtnGrouped` at the same width of codes;
 *   two queries of 64 channels share a key head. Below 1 is faster.
 *
 * Quality without the fixed-point pass, as in `models/runner.ts`; speed with the default schedule.
 * @module
 */
import { type Bits, bitsOf, FORMATS, type SchemeName, SCHEMES, WIDTHS } from "../mod.ts";
import { calibrate } from "../models/calibrate.ts";
import { cacheShape } from "../models/llama.ts";
import { errorOf, meanKld, perplexity, sameTop, score } from "../models/quality.ts";
import { type Codecs, EXACT } from "../models/runner.ts";
import type { Named, Sizes } from "./caches.ts";
import { ALLOTTED, beforeRope } from "./compare/entries.ts";
import { speeds } from "./compare/speed.ts";
import { openEmbedded } from "./embedded.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

/** A scheme with the width of its codes. */
interface Listed extends Named {
  readonly width: Bits;
}

const FIXED: Readonly<Record<keyof typeof FORMATS, Bits>> = {
  q4_0: 4,
  q4_1: 4,
  q8_0: 8,
  nf4: 4,
  e4m3: 8,
  e5m2: 8,
  mxfp4: 4,
  nvfp4: 4,
  higgs: 2,
  qjl: 2,
  polarquant: 4,
  oscarK: 2,
  oscarV: 2,
  svdq: 1,
};

/** Every scheme at every width it takes, widest first; the second form of DecoQuant has no bits to save. */
const LISTED: readonly Listed[] = ([8, 4, 3, 2, 1] as const).flatMap((width) => [
  ...Object.entries(SCHEMES)
    .filter(([name]) => name !== "decoquantA" && WIDTHS[name as SchemeName].includes(width))
    .map(([name, make]): Listed => ({ name: `${name} ${width}`, codec: make(width), width })),
  ...Object.entries(FORMATS)
    .filter(([name]) => FIXED[name as keyof typeof FORMATS] === width)
    .map(([name, codec]): Listed => ({ name, codec, width })),
]);

/** A scheme as the model holds its cache. */
interface Tried {
  readonly name: string;
  readonly width: Bits;
  /** Codecs of a layer. */
  readonly held: (layer: number) => Codecs;
  readonly bits: number;
}

/** Words of codes a token, and the width of codes whose time is compared. */
const GRAINS: readonly { readonly words: number; readonly width: Bits }[] = [
  { words: 12.5, width: 3 },
  { words: 8.5, width: 2 },
  { words: 7.25, width: 2 },
  { words: 4.5, width: 1 },
];

const SIZES: Sizes = { kv: 2, group: 2, dim: 64 };

/** The question of the head of the file. */
export const schemesBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 64 : 1024;
  const { model, runner, ids: all } = await openEmbedded();
  const [ids, next, last] = [0, 1, 2].map((i) => all.slice(1 + i * tokens, 1 + (i + 1) * tokens));
  const made = [];
  for (const [family, graded] of Object.entries(ALLOTTED)) {
    const fitted = await calibrate(runner, model, [next, last], graded);
    made.push(...GRAINS.map(({ words, width }) => ({ family, ...fitted(words), width })));
  }
  const shape = cacheShape(runner.config);
  const listed: readonly Tried[] = [
    ...LISTED.map(({ name, codec, width }) => ({
      name,
      width,
      held: () => ({ k: codec, v: codec }),
      bits: bitsOf(codec, shape),
    })),
    ...beforeRope(model.config).map(({ name, width, held }) => ({
      name,
      width,
      held,
      bits: (bitsOf(held(0).k, shape) + bitsOf(held(0).v, shape)) / 2,
    })),
    ...made.map(({ family, codecs, bits, width }) => ({
      name: `${family} ${bits.toFixed(2)}`,
      width,
      held: codecs,
      bits,
    })),
  ];
  const entries = listed.map(({ name, held }) => ({ name, family: name, held }));
  const speed = await speeds(entries, SIZES, quick ? 512 : 16384, quick ? 1 : 15);
  const took = new Map(speed.map(({ ms }, i) => [listed[i]!.name, ms]));
  try {
    const { vocabSize } = runner.config;
    const exact = await runner.run(ids, EXACT);
    const scored = (logits: Float32Array) => score(logits, exact.logits, vocabSize, ids.slice(1));
    const base = perplexity(scored(exact.logits));
    const rows: Row[] = [];
    for (const { name, held, bits, width } of listed) {
      const run = await runner.run(ids, held, { see: true });
      const found = scored(run.logits);
      rows.push({
        scheme: name,
        bits,
        K: errorOf(run.layers, "k"),
        V: errorOf(run.layers, "v"),
        out: errorOf(run.layers, "attention"),
        KLD: meanKld(found),
        "ΔPPL %": 100 * (perplexity(found) / base - 1),
        "same top-1": sameTop(found),
        "attend": took.get(name)! / took.get(`rtnGrouped ${width}`)!,
      });
    }
    return [{ title: `schemes on wiki4m, ${tokens} tokens, perplexity ${base} on f32`, rows }];
  } finally {
    runner.close();
  }
};
