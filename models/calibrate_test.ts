/** Calibration on one text, judged by another: fewer bits lose less than a scheme that knows nothing. */
import { ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { bitsOf, lathe } from "../mod.ts";
import { calibrate } from "./calibrate.ts";
import { cacheShape } from "./llama.ts";
import { loadModel, loadTokenizer, WIKI4M } from "./load.ts";
import { meanKld, score } from "./quality.ts";
import { EXACT, type Held, openRunner } from "./runner.ts";

Deno.test("grain loses less than lathe at fewer bits, on a text it was not calibrated on", async () => {
  const model = loadModel(WIKI4M);
  const text = readFileSync(new URL("text/lighthouses.txt", import.meta.url), "utf8");
  const all = loadTokenizer(WIKI4M).encode(text);
  const [ids, other] = [all.slice(1, 193), all.slice(1025, 1409)];
  const runner = await openRunner(model);
  try {
    const exact = await runner.run(ids, EXACT);
    const kld = async (held: Held): Promise<number> => {
      const { logits } = await runner.run(ids, held);
      return meanKld(score(logits, exact.logits, model.config.vocabSize, ids.slice(1)));
    };
    const { codecs, bits } = (await calibrate(runner, model, [other]))(8);
    const even = lathe(2);
    // Eight words and a norm for two heads of 64.
    ok(bits === (8 * 32 + 16) / 128 && bits < bitsOf(even, cacheShape(model.config)));
    const [own, known] = [await kld(codecs), await kld({ k: even, v: even })];
    ok(own < known, `${own} is no less than ${known}`);
  } finally {
    runner.close();
  }
});
