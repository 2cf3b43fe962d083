/**
 * Attention over a cache that a compiled encoder stored, held to its meaning.
 */
import { ok } from "node:assert/strict";
import {
  attend,
  cached,
  type Codec,
  compile,
  input,
  type Schedule,
  type Tensor,
  upload,
  wasm,
} from "../mod.ts";
import { excess } from "./laws/meaning.ts";

const wave = (n: number, by: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(by * i) + (i % 7) / 5);

/** How a cache is attended over. */
export interface Asked {
  readonly schedule?: Partial<Schedule>;
  readonly queries?: number;
  /** How values are stored, where that is not as keys are. */
  readonly values?: Codec;
}

const stored = async (
  codec: Codec,
  name: string,
  shape: readonly [number, string, number],
  x: Tensor,
) => {
  const encoder = await compile({ ...codec.encode(input("x", shape, "f32")) });
  return Object.entries(await encoder.run({ x })).map(([n, t]) => [`${name}.${n}`, t] as const);
};

/** Attention means what it says, within rounding. */
export const agrees = async (
  codec: Codec,
  dim: number,
  rows: number,
  tokens: number,
  { schedule = { fixed: false }, queries = 1, values = codec }: Asked = {},
): Promise<void> => {
  const shape = [2, "tokens", dim] as const;
  const x = upload(wasm(), "x", "f32", [2, tokens, dim], wave(2 * tokens * dim, 0.37));
  const named = [...await stored(codec, "k", shape, x), ...await stored(values, "v", shape, x)];
  const out = attend({
    q: input("q", [2, rows, queries === 1 ? 1 : "queries", dim], "f32"),
    k: cached(codec, "k", shape),
    v: cached(values, "v", shape),
  });
  const q = wave(2 * rows * queries * dim, 0.11);
  const program = await compile({ out }, { schedule });
  const { out: got } = await program.values({ q, ...Object.fromEntries(named) });
  const inputs: Record<string, ArrayLike<number>> = { q };
  for (const [name, tensor] of named) inputs[name] = await tensor.read();
  const over = excess(got, out, program.outputs.out, { sizes: { tokens, queries }, inputs });
  ok(
    over <= 0,
    `${codec.name}, ${dim} channels, ${rows} rows, ${tokens} tokens: ${over} beyond rounding`,
  );
};
