/**
 * Attention over a cache that a compiled encoder stored, held to its meaning.
 */
import { ok } from "node:assert/strict";
import { attend, cached, type Codec, compile, input, type Schedule, upload, wasm } from "../mod.ts";
import { excess } from "./laws/meaning.ts";

const wave = (n: number, by: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(by * i) + (i % 7) / 5);

/** Attention means what it says, within rounding. */
export const agrees = async (
  codec: Codec,
  dim: number,
  rows: number,
  tokens: number,
  schedule: Partial<Schedule> = { fixed: false },
  queries = 1,
): Promise<void> => {
  const shape = [2, "tokens", dim] as const;
  const x = upload(wasm(), "x", "f32", [2, tokens, dim], wave(2 * tokens * dim, 0.37));
  const encoder = await compile({ ...codec.encode(input("x", shape, "f32")) });
  const parts = Object.entries(await encoder.run({ x }));
  const named = parts.flatMap(([n, t]) => [[`k.${n}`, t], [`v.${n}`, t]] as const);
  const out = attend({
    q: input("q", [2, rows, queries === 1 ? 1 : "queries", dim], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
  });
  const q = wave(2 * rows * queries * dim, 0.11);
  const program = await compile({ out }, { schedule });
  const { out: got } = await program.values({ q, ...Object.fromEntries(named) });
  const inputs: Record<string, ArrayLike<number>> = { q };
  for (const [name, tensor] of named) inputs[name] = await tensor.read();
  const over = excess(got, out, program.outputs.out, { sizes: { tokens, queries }, inputs });
  ok(over <= 0, `${dim} channels, ${rows} rows, ${tokens} tokens: ${over} beyond rounding`);
};
