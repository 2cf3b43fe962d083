/**
 * Caches whose tokens lie whole: which kernels touch them first, and that nothing beyond them is read.
 */
import { equal, ok } from "node:assert/strict";
import {
  attend,
  cached,
  type Codec,
  compile,
  decoquantB,
  evaluate,
  input,
  openWasm,
  rtn,
  rtnGrouped,
  type Term,
} from "../mod.ts";
import { lower } from "../compiler/pipeline.ts";
import type { Step } from "../compiler/kernel.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { WEBGPU_TARGET } from "../compiler/runtime/webgpu.ts";
import { SKELETONS } from "./mod.ts";

const attention = (codec: Codec, heads: number, channels: number): Term => {
  const shape = [heads, "tokens", channels] as const;
  return attend({
    q: input("q", [heads, 1, 1, channels], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
  });
};

const streamOf = (out: Term, target = WASM_TARGET): Step =>
  lower({ out }, SKELETONS, target).steps.find((s) => s.kernel.skeleton === "stream")!;

const touches = ({ kernel }: Step): boolean =>
  kernel.shared.some(({ name }) => name.startsWith("seen"));

Deno.test("tokens are touched whole where several heads share one, on a processor", () => {
  ok(touches(streamOf(attention(decoquantB(4), 8, 64))));
  ok(touches(streamOf(attention(rtn(4), 6, 64))));
  ok(!touches(streamOf(attention(rtnGrouped(4), 8, 64))), "heads lie apart");
  ok(!touches(streamOf(attention(decoquantB(4), 1, 128))), "one head");
  ok(!touches(streamOf(attention(decoquantB(4), 2, 64))), "a token is a line");
  ok(!touches(streamOf(attention(decoquantB(4), 8, 64), WEBGPU_TARGET)), "lanes side by side");
});

Deno.test("heads that share tokens take turns part by part", () => {
  const groups = (codec: Codec, tokens: number): number =>
    streamOf(attention(codec, 8, 64)).kernel.groups({ tokens });
  equal(groups(decoquantB(4), 1024), 4 * 8);
  equal(groups(rtnGrouped(4), 1024), 8);
});

Deno.test("tokens of three or five lines, a chunk and a part of one: values are those of f64", async () => {
  const device = openWasm({ poison: true });
  for (const heads of [6, 10]) {
    const out = attention(rtn(4), heads, 64);
    const tokens = 300;
    const x = (seed: number, n: number): Float64Array =>
      Float64Array.from({ length: n }, (_, i) => Math.sin(seed * i * i + i));
    const shape = [heads, "tokens", 64] as const;
    const inputs: Record<string, ArrayLike<number>> = { q: x(1, heads * 64) };
    for (const side of ["k", "v"]) {
      const encode = await compile({ ...rtn(4).encode(input("x", shape, "f32")) }, { device });
      const parts = await encode.values({ x: x(side === "k" ? 2 : 3, heads * tokens * 64) });
      Object.entries(parts).forEach(([name, part]) => inputs[`${side}.${name}`] = part);
    }
    const got = (await (await compile({ out }, { device })).values(inputs)).out;
    const want = evaluate(out, { sizes: { tokens }, inputs }).data;
    const far = Math.max(...want.map((w, i) => Math.abs(w - got[i])));
    // Weights and queries are rounded to 2⁻¹⁶ of their largest.
    ok(far < 2 ** -10 * Math.max(...want.map(Math.abs)), `off by ${far}`);
  }
  device.close();
});
