/** What a replayed step asks of WebGPU, counted where the runtime's own objects are asked. */
import { deepEqual, ok } from "node:assert/strict";
import process from "node:process";
import { isLeft } from "../../fp.ts";
import {
  attend,
  cached,
  compile,
  decoquantB,
  input,
  iota,
  map,
  openWebgpu,
  replay,
  rtnGrouped,
} from "../../mod.ts";

/** What is counted: methods of the objects that a runtime makes. */
const COUNTED = {
  submits: [() => GPUQueue, "submit"],
  dispatches: [() => GPUComputePassEncoder, "dispatchWorkgroups"],
  reads: [() => GPUBuffer, "mapAsync"],
  buffers: [() => GPUDevice, "createBuffer"],
  groups: [() => GPUDevice, "createBindGroup"],
  scopes: [() => GPUDevice, "pushErrorScope"],
} as const;

/** Runs `use` and says how often each was called. */
const counted = async (use: () => Promise<void>): Promise<Record<string, number>> => {
  const counts = Object.fromEntries(Object.keys(COUNTED).map((k) => [k, 0]));
  const undo = Object.entries(COUNTED).map(([name, [owner, method]]) => {
    const proto = owner().prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
    const original = proto[method];
    proto[method] = function (...args) {
      counts[name]++;
      return original.apply(this, args);
    };
    return () => proto[method] = original;
  });
  try {
    await use();
  } finally {
    undo.forEach((f) => f());
  }
  return counts;
};

Deno.test("a replayed step of four attentions: one submission, two dispatches each, nothing made", async () => {
  const opened = await openWebgpu({ software: true });
  if (isLeft(opened)) {
    console.warn(`SKIPPED: ${opened.left.message}`);
    ok(process.env.CI !== "true", "in CI a missing adapter is a failure");
    return;
  }
  const device = opened.right;
  const tokens = 70;
  const shape = [2, "tokens", 64] as const;
  const x = Array.from({ length: 2 * tokens * 64 }, (_, i) => Math.sin(i));
  const q = Array.from({ length: 2 * 2 * 64 }, (_, i) => Math.cos(i));
  const layers = await Promise.all(
    [rtnGrouped(4), decoquantB(4), rtnGrouped(2), decoquantB(2)].map(async (scheme) => {
      const encoder = await compile({ ...scheme.encode(input("x", shape, "f32")) }, { device });
      const parts = Object.entries(await encoder.run({ x }));
      const out = attend({
        q: input("q", [2, 2, 1, 64], "f32"),
        k: cached(scheme, "k", shape),
        v: cached(scheme, "v", shape),
      });
      const given = parts.flatMap(([part, t]) => [[`k.${part}`, t], [`v.${part}`, t]]);
      return (await compile({ out }, { device })).record({ q, ...Object.fromEntries(given) });
    }),
  );
  await replay(layers);
  deepEqual(await counted(() => replay(layers)), {
    submits: 1,
    dispatches: 8,
    reads: 0,
    buffers: 0,
    groups: 0,
    scopes: 0,
  });
  // A buffer that is gone is an error of the next call, though no scope was open.
  const [{ inputs }] = layers;
  device.free(inputs.q.memory);
  let said: unknown;
  for (let i = 0; i < 20 && said === undefined; i++) {
    await replay(layers).catch((error) => said = error);
    await new Promise((done) => setTimeout(done, 5));
  }
  ok(String(said).includes("webgpu:"), `${said}`);
  device.close();
});

Deno.test("timed work is done, and takes longer the more often it is run", async () => {
  const opened = await openWebgpu({ software: true });
  if (isLeft(opened)) {
    console.warn(`SKIPPED: ${opened.left.message}`);
    ok(process.env.CI !== "true", "in CI a missing adapter is a failure");
    return;
  }
  const device = opened.right;
  const x = input("x", [1 << 16], "f32");
  const doubled = (await compile({ y: map("mul", x, 2) }, { device })).record({
    x: Float32Array.from({ length: 1 << 16 }, (_, i) => i),
  });
  if (device.timed === undefined) console.warn("SKIPPED: the device has no timestamps");
  else {
    const one = await device.timed([doubled.work()], 1);
    const many = await device.timed([doubled.work()], 200);
    ok(one >= 0 && many > one, `${one} ns once, ${many} ns 200 times`);
    ok((await doubled.outputs.y.read()).every((y, i) => y === 2 * i));
  }
  device.close();
});

Deno.test("dims may have any name: words of a shader's language, marks, two that differ by a mark", async () => {
  const opened = await openWebgpu({ software: true });
  if (isLeft(opened)) {
    console.warn(`SKIPPED: ${opened.left.message}`);
    ok(process.env.CI !== "true", "in CI a missing adapter is a failure");
    return;
  }
  const device = opened.right;
  for (
    const [a, b] of [["fn", "var"], ["struct", "args"], ["loop", "_"], ["1", "a b"], [
      "a.b",
      "a_2e_b",
    ]]
  ) {
    const x = input("x", [a, b, 2], "f32");
    const p = await compile({ y: map("mul", iota(x.shape, 1), x) }, { device });
    const { y } = await p.values({ x: Array(12).fill(2) }, { [a]: 2, [b]: 3 });
    deepEqual([...y], [0, 0, 2, 2, 4, 4, 0, 0, 2, 2, 4, 4]);
  }
  device.close();
});
