/**
 * Chunks of many tokens: values that are added a whole row after the other, of any number of channels, rows and
 * tokens, and weights that are rounded 256 tokens at a time.
 */
import { ok } from "node:assert/strict";
import {
  attend,
  cached,
  type Codec,
  compile,
  f16,
  identity,
  input,
  rtn,
  rtnGrouped,
  type Schedule,
  upload,
  wasm,
} from "../mod.ts";
import { excess } from "./laws/meaning.ts";

const wave = (n: number, by: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(by * i) + (i % 7) / 5);

const agrees = async (
  codec: Codec,
  dim: number,
  rows: number,
  tokens: number,
  schedule: Partial<Schedule> = { fixed: false },
): Promise<void> => {
  const shape = [2, "tokens", dim] as const;
  const x = upload(wasm(), "x", "f32", [2, tokens, dim], wave(2 * tokens * dim, 0.37));
  const encoder = await compile({ ...codec.encode(input("x", shape, "f32")) });
  const parts = Object.entries(await encoder.run({ x }));
  const named = parts.flatMap(([n, t]) => [[`k.${n}`, t], [`v.${n}`, t]] as const);
  const out = attend({
    q: input("q", [2, rows, 1, dim], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
  });
  const q = wave(2 * rows * dim, 0.11);
  const program = await compile({ out }, { schedule });
  const { out: got } = await program.values({ q, ...Object.fromEntries(named) });
  const inputs: Record<string, ArrayLike<number>> = { q };
  for (const [name, tensor] of named) inputs[name] = await tensor.read();
  const over = excess(got, out, program.outputs.out, { sizes: { tokens }, inputs });
  ok(over <= 0, `${dim} channels, ${rows} rows, ${tokens} tokens: ${over} beyond rounding`);
};

Deno.test("values of any number of channels and rows are added a whole row after the other", async () => {
  for (const dim of [68, 192, 288]) {
    for (const [rows, tokens] of [[1, 1], [4, 7], [5, 70]]) {
      await agrees(identity, dim, rows, tokens);
    }
  }
  for (const dim of [64, 192]) {
    for (const codec of [f16, rtnGrouped(8)]) await agrees(codec, dim, 4, 37);
  }
});

Deno.test("weights as integers mean the same whatever part of a chunk shares a step", async () => {
  for (const codec of [rtnGrouped(4), rtn(4), rtnGrouped(8)]) {
    for (const [rows, tokens] of [[4, 256], [3, 257], [1, 1030]]) {
      for (const chunk of [512, 4096]) {
        await agrees(codec, 64, rows, tokens, { fixed: 16, chunk });
      }
    }
  }
  for (const tokens of [15, 1030]) {
    for (const chunk of [256, 4096]) {
      await agrees(rtnGrouped(4), 64, 2, tokens, { fixed: 8, chunk });
    }
  }
});
