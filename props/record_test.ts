/** Programs recorded once and replayed say what running them says, one at a time and many at once. */
import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import { compile, input, map, openWasm, replay } from "../mod.ts";
import { cachedArb, cachedSample, valuesFor } from "./caches.ts";
import { hold } from "./check.ts";
import { onDevices } from "./devices.ts";
import { replayBroken } from "./laws/record.ts";

onDevices(
  "attention replayed on new caches is attention run on them, word for word",
  { wasm: 60, webgpu: 12 },
  (device, runs) =>
    hold(
      fc.asyncProperty(cachedArb, async (cached) => {
        const { term, sizes, inputs } = cachedSample(cached);
        const program = await compile({ out: term }, { device });
        const other = { ...inputs, ...valuesFor(term, sizes, cached.seed + 1) };
        const given = [inputs, other] as readonly Record<string, number[]>[];
        equal(await replayBroken(program, given, sizes), undefined);
      }),
      runs,
    ),
);

onDevices(
  "recordings of a step run in order, in one go, each on what the one before made",
  { wasm: 5, webgpu: 2 },
  async (device) => {
    const x = input("x", ["n"], "f32");
    const twice = (await compile({ y: map("mul", x, 2) }, { device })).record({ x: [1, 2, 3] });
    const next = (await compile({ y: map("add", x, 1) }, { device })).record({
      x: twice.outputs.y,
    });
    for (const start of [1, 10, 100]) {
      twice.inputs.x.write([start, 0, -start]);
      await replay([twice, next]);
      deepEqual([...await next.outputs.y.read()], [2 * start + 1, 1, 1 - 2 * start]);
    }
    twice.dispose();
    await rejects(replay([twice, next]), { name: "DeviceError", message: /disposed of/ });
    throws(() => next.work(), { name: "DeviceError", message: /disposed of/ });
    next.dispose();
  },
);

Deno.test("recordings of two devices are not one step", async () => {
  const x = input("x", ["n"], "f32");
  const [a, b] = await Promise.all(
    [openWasm(), openWasm()].map(async (device) =>
      (await compile({ y: map("neg", x) }, { device })).record({ x: [1] })
    ),
  );
  await rejects(replay([a, b]), {
    name: "InputError",
    message: 'input "recordings": one lies on wasm, one on another wasm',
  });
});
