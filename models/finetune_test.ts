/** Gradients across programs, and a model that learns its cache. */
import { deepEqual, ok } from "node:assert/strict";
import { contract, input, map, pullback, rtnGrouped, upload, wasm } from "../mod.ts";
import { finetune } from "./finetune.ts";
import { loadModel, WIKI4M } from "./load.ts";
import { library, MEASURED, openRunner } from "./runner.ts";
import { drawn, sampled } from "./sample.ts";
import { openTape } from "./tape.ts";

const whole = loadModel(WIKI4M);
/** One layer is enough to see that it learns. */
const model = { ...whole, config: { ...whole.config, layers: 1 } };

Deno.test("tape: gradients across programs are those of the one program that they make", async () => {
  const device = wasm();
  const compiled = library(device, MEASURED);
  const [x, w, y] = [
    input("x", [3, 4], "f32"),
    input("w", [4, 4], "f32"),
    input("y", [3, 4], "f32"),
  ];
  const times = { y: contract("t i, o i -> t o", x, w) };
  const squared = { z: map("mul", map("add", y, x), y) };
  const numbers = (n: number, by: number) =>
    Float32Array.from({ length: n }, (_, i) => Math.sin(by * i + 1));
  const [xs, ws, by] = [numbers(12, 1), numbers(16, 2), numbers(12, 3)];
  const [tx, tw, tby] = [
    upload(device, "x", "f32", [3, 4], xs),
    upload(device, "w", "f32", [4, 4], ws),
    upload(device, "by", "f32", [3, 4], by),
  ];
  const tape = openTape(compiled, new Set([tx, tw]));
  // The weight meets the tensor twice, and what the first program makes is read twice.
  const first = await tape.run(times, { x: tx, w: tw });
  const second = await tape.run(times, { x: first.y!, w: tw });
  const { z } = await tape.run(squared, { y: second.y!, x: tx });
  const gradients = await tape.back(z!, tby);

  const once = contract("t i, o i -> t o", contract("t i, o i -> t o", x, w), w);
  const all = map("mul", map("add", once, x), once);
  const [gx, gw] = pullback([{ of: all, by: input("by", [3, 4], "f32") }], [x, w]);
  const want = await (await compiled({ gx: gx!, gw: gw! })).values({ x: xs, w: ws, by });
  for (const [tensor, exact] of [[tx, want.gx!], [tw, want.gw!]] as const) {
    const size = Math.max(...exact.map(Math.abs));
    const found = await gradients.get(tensor)!.read();
    // Sums of at most 4 · 4 products, in f32.
    ok(found.every((g, i) => Math.abs(g - exact[i]!) <= 2 ** -18 * size));
  }
});

Deno.test("finetune: what it trains moves, the divergence falls, and the model runs as before", async () => {
  const windows = await sampled(model, { windows: 1, tokens: 24, seed: 3 });
  const klds: number[] = [];
  const codec = rtnGrouped(2);
  const tuned = await finetune(model, { k: codec, v: codec }, windows, {
    steps: 12,
    rate: 2e-4,
    said: (_, kld) => klds.push(kld),
  });
  ok(klds.length === 12 && klds[11]! < klds[0]! / 2, klds.join());
  const moved = [...model.weights].filter(([name, { data }]) =>
    tuned.weights.get(name)!.data.some((x, i) => x !== data[i])
  );
  deepEqual(
    moved.map(([name]) => name.replace("model.layers.0.", "")).sort(),
    [
      "input_layernorm.weight",
      "post_attention_layernorm.weight",
      ...["k", "o", "q", "v"].map((p) => `self_attn.${p}_proj.weight`),
    ],
  );
  const runner = await openRunner(tuned);
  const { logits } = await runner.run(windows[0]!, { k: codec, v: codec });
  ok(logits.every(Number.isFinite));
  runner.close();
});

Deno.test("sample: a token is drawn by its share, and a seed gives the same text again", async () => {
  const logits = [0, Math.log(3), -Infinity];
  deepEqual([0, 0.2, 0.3, 0.999].map((share) => drawn(logits, share)), [0, 0, 1, 1]);
  const once = await sampled(model, { windows: 2, tokens: 5, seed: 7 });
  deepEqual(await sampled(model, { windows: 2, tokens: 5, seed: 7 }), once);
  ok(once[0]!.join() !== once[1]!.join());
});
