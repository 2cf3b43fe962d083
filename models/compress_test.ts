/** Weights in few bits: fitted layer by layer, read by the same formulas. */
import { ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  awq,
  gptqWeights,
  identity,
  nearest,
  nearestGroups,
  quantize,
  smoothquant,
  type WeightScheme,
} from "../mod.ts";
import { fitWeights } from "./compress.ts";
import { loadModel, loadTokenizer, WIKI4M } from "./load.ts";
import { meanKld, type Score, score } from "./quality.ts";
import { MEASURED, openRunner } from "./runner.ts";

const whole = loadModel(WIKI4M);
/** One layer is enough to see what becomes of its weights, and two that the second reads the first's. */
const model = { ...whole, config: { ...whole.config, layers: 2 } };
const text = readFileSync(new URL("text/lighthouses.txt", import.meta.url), "utf8");
const ids = loadTokenizer(WIKI4M).encode(text).slice(1);
const [first, second, read] = [ids.slice(0, 40), ids.slice(40, 100), ids.slice(100, 140)];

/** A scheme fitted on two windows and read on a third, against f32. */
const scored = async (scheme: WeightScheme, activations = false): Promise<Score> => {
  const exact = await openRunner(model);
  const weights = await fitWeights(model, scheme, [first, second]);
  const runner = await openRunner(model, undefined, MEASURED, {
    weights,
    ...activations ? { activations: quantize({ bits: 8, per: "token", range: "symmetric" }) } : {},
  });
  try {
    const [base, found] = [await exact.run(read), await runner.run(read)];
    return score(found.logits, base.logits, model.config.vocabSize, read.slice(1));
  } finally {
    [exact, runner, weights].forEach((held) => held.close());
  }
};

Deno.test("compress: channels that are scaled change nothing while weights are not rounded", async () => {
  // Roundings of f32, squared in a divergence.
  const kld = meanKld(await scored(smoothquant({ bits: 8, codec: identity })));
  ok(Math.abs(kld) < 1e-9, `${kld}`);
  ok(Math.abs(meanKld(await scored(nearest(identity)))) < 1e-9);
});

Deno.test("compress: every scheme comes close at 8 bits and is read back from what it stored", async () => {
  const schemes = [
    nearestGroups(8),
    gptqWeights({ bits: 8, group: 64, actOrder: true }),
    awq({ bits: 8, unclipped: ["wq", "wk"] }),
  ];
  for (const scheme of schemes) {
    const kld = meanKld(await scored(scheme));
    ok(kld > 0 && kld < 1e-3, `${scheme.name}: ${kld}`);
  }
});

Deno.test("compress: activations are rounded as they come, in every linear map", async () => {
  const [exact, seen] = [await scored(nearest(identity)), await scored(nearest(identity), true)];
  ok(meanKld(seen) > 100 * Math.abs(meanKld(exact)) && meanKld(seen) < 1e-2, `${meanKld(seen)}`);
});
