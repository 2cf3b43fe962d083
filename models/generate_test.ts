import { equal, ok } from "node:assert/strict";
import {
  f16,
  heavyHitters,
  identity,
  kivi,
  movingWindow,
  rtnGrouped,
  tova,
  window,
} from "../mod.ts";
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

Deno.test("a cache of bounded memory is exact within its budget, and does not grow beyond it", async () => {
  const plain = await openGenerator(model, both(identity), { schedule: MEASURED });
  const exact = [await plain.feed(prompt), await plain.feed(prompt)];
  for (
    const codecs of [
      movingWindow({ sinks: 2, recent: 8 }, identity),
      heavyHitters({ heavy: 4, recent: 5, sinks: 1 }, identity),
      tova({ budget: 10 }, identity),
    ]
  ) {
    const generator = await openGenerator(model, codecs, { schedule: MEASURED });
    const within = await generator.feed(prompt);
    const far = (a: Float64Array, b: Float64Array) =>
      Math.max(...a.map((x, i) => Math.abs(x - b[i])));
    ok(far(within, exact[0]) < 1e-3, `${codecs.name}: ${far(within, exact[0])}`);
    let beyond = within;
    for (const id of prompt) beyond = await generator.feed([id]);
    ok(far(beyond, exact[1]) > 1e-2, codecs.name);
    const bytes = generator.bytes();
    for (const id of prompt) await generator.feed([id]);
    equal(generator.bytes(), bytes);
    equal(generator.tokens(), 3 * prompt.length);
    generator.close();
  }
  plain.close();
});
