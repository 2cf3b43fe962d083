import { equal, ok } from "node:assert/strict";
import { f16, identity, kivi, rtnGrouped, window } from "../mod.ts";
import { largest, openGenerator } from "./generate.ts";
import { loadModel, WIKI4M } from "./load.ts";
import { type Codecs, EXACT, MEASURED, openRunner } from "./runner.ts";

const model = loadModel(WIKI4M);
const prompt = [1, 20, 300, 41, 5, 600, 7, 80, 9, 100];

const both = (codec: Codecs["k"]): Codecs => ({ k: codec, v: codec });

Deno.test("a model fed token by token says what it says of a window at once", async () => {
  for (const codecs of [EXACT, both(f16), both(window({ tail: 4, sinks: 1 }, rtnGrouped(4)))]) {
    const generator = await openGenerator(model, codecs, { schedule: MEASURED, capacity: 2 });
    await generator.feed(prompt.slice(0, 3));
    let logits: Float64Array = new Float64Array();
    for (const id of prompt.slice(3)) logits = await generator.feed([id]);
    const runner = await openRunner(model);
    const { logits: whole } = await runner.run(prompt, codecs === EXACT ? EXACT : both(f16));
    const last = whole.subarray(whole.length - logits.length);
    const far = Math.max(...logits.map((x, i) => Math.abs(x - last[i])));
    ok(far < (codecs === EXACT ? 1e-3 : 0.5), `${codecs.k.name}: ${far}`);
    equal(generator.tokens(), prompt.length);
    generator.close();
    runner.close();
  }
});

Deno.test("greedy generation with a compressed cache goes on, token by token", async () => {
  const generator = await openGenerator(model, kivi(4, 8, 8));
  const plain = await openGenerator(model, both(identity));
  let next = largest(await generator.feed(prompt));
  await plain.feed(prompt);
  for (let i = 0; i < 30; i++) {
    next = largest(await generator.feed([next]));
    await plain.feed([next]);
  }
  equal(generator.tokens(), prompt.length + 30);
  ok(generator.bytes() < plain.bytes());
  generator.close();
  plain.close();
});
