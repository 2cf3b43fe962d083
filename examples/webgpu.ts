/**
 * Attention over a 4-bit cache on WebGPU, beside the embedded device.
 *
 * deno run -A examples/webgpu.ts   or   bun add webgpu && bun examples/webgpu.ts
 */
import { attend, cached, compile, type Device, input, openDevice, rtnGrouped, wasm } from "kvfold";
import { isLeft } from "kvfold/fp";

const scheme = rtnGrouped(4);
const shape = [2, "tokens", 64] as const;
const tokens = 300;

const x = Array.from({ length: 2 * tokens * 64 }, (_, i) => Math.sin(0.37 * i) * (1 + i % 5));
const q = Array.from({ length: 2 * 2 * 64 }, (_, i) => Math.cos(i));
const outputs = {
  out: attend({
    q: input("q", [2, 2, 1, 64], "f32"),
    k: cached(scheme, "k", shape),
    v: cached(scheme, "v", shape),
  }),
};

/** Encodes a cache and attends over it, all on one device. */
const attended = async (device: Device): Promise<Float64Array> => {
  const encoder = await compile({ ...scheme.encode(input("x", shape, "f32")) }, { device });
  const program = await compile(outputs, { device });
  const parts = Object.entries(await encoder.run({ x }));
  const given = parts.flatMap(([part, t]) => [[`k.${part}`, t], [`v.${part}`, t]]);
  return (await program.values({ q, ...Object.fromEntries(given) })).out;
};

const expected = await attended(wasm());
// A software adapter is taken only by its own name.
const real = await openDevice("webgpu");
const found = isLeft(real) ? await openDevice("webgpu-software") : real;
if (isLeft(found)) {
  console.log(`no WebGPU here: ${found.left.message}`);
} else {
  const out = await attended(found.right);
  const apart = out.reduce((most, v, i) => Math.max(most, Math.abs(v - expected[i])), 0);
  console.log(`${found.right.description}: within ${apart.toExponential(1)} of WebAssembly`);
  if (!(apart < 1e-3)) throw new Error("the devices disagree");
  found.right.close();
}
