/**
 * What becomes of a text that is longer than the model's context? The embedded model was trained on 1,024 tokens
 * and reads 2,740, in steps of eight, on a cache that grows and on caches of 256 tokens.
 *
 * `within` and `beyond`: mean −log p of the tokens up to the context, and of those behind it. `KiB` are all caches
 * in the end.
 */
import { f16, heavyHitters, movingWindow, rtnGrouped } from "../mod.ts";
import type { Cached } from "../models/caches.ts";
import { openGenerator } from "../models/generate.ts";
import { losses } from "../models/quality.ts";
import { type Codecs, MEASURED } from "../models/runner.ts";
import { openEmbedded } from "./embedded.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

const BUDGET = 256;
const STEP = 8;

const both = (codec: Codecs["k"]): Codecs => ({ k: codec, v: codec });

const CACHES: readonly (readonly [string, Cached])[] = [
  ["all, f16", both(f16)],
  ["all, 4 bits", both(rtnGrouped(4))],
  ["window, 4 first, f16", movingWindow({ recent: BUDGET - 4 }, f16)],
  ["window, 4 first, 4 bits", movingWindow({ recent: BUDGET - 4 }, rtnGrouped(4))],
  ["window, f16", movingWindow({ sinks: 0, recent: BUDGET }, f16)],
  ["h2o, f16", heavyHitters({ heavy: BUDGET / 2 }, f16)],
  ["h2o, 4 bits", heavyHitters({ heavy: BUDGET / 2 }, rtnGrouped(4))],
];

/** The question of the head of the file. */
export const longerBench: Benchmark = async ({ quick }: Ask) => {
  const { model, runner, ids: all } = await openEmbedded();
  runner.close();
  const { vocabSize, contextLength } = model.config;
  const ids = quick ? all.slice(0, 64) : all;
  const context = quick ? 32 : contextLength;
  const rows: Row[] = [];
  for (const [name, codecs] of quick ? CACHES.slice(1, 3) : CACHES) {
    const generator = await openGenerator(model, codecs, {
      schedule: MEASURED,
      most: STEP,
      capacity: ids.length,
    });
    try {
      const lost = losses(await generator.read(ids.slice(0, -1)), vocabSize, ids.slice(1));
      const mean = (part: Float64Array): string =>
        (part.reduce((a, b) => a + b) / part.length).toFixed(3);
      rows.push({
        cache: name,
        within: mean(lost.subarray(0, context)),
        beyond: mean(lost.subarray(context)),
        KiB: Math.round(generator.bytes() / 1024),
      });
    } finally {
      generator.close();
    }
  }
  return [{ title: `${ids.length - 1} tokens, a context of ${context}, wiki4m`, rows }];
};
