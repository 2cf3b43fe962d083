/**
 * Attention to a cache that a device encodes and keeps, held to f64 on the same parts.
 * @module
 */
import { ok } from "node:assert/strict";
import { print } from "../dsl/read/print.ts";
import { input, type Tensor } from "../mod.ts";
import { tensorOf } from "./arbitraries.ts";
import { attention, type Form } from "./caches.ts";
import { seedNow } from "./check.ts";
import type { Case } from "./codecs.ts";
import type { Programs } from "./devices.ts";
import { excess } from "./laws/meaning.ts";

const ROWS = 2;

/** Parts of K and V as the device encodes and keeps them. */
const cacheOn = async (
  programs: Programs,
  { codec, channels: [channels] }: Case,
  heads: number,
  tokens: number,
  seed: number,
): Promise<Record<string, Tensor>> => {
  const shape = [heads, "tokens", channels];
  const program = await programs("encode", () => codec.encode(input("x", shape, "f32")));
  const cache: Record<string, Tensor> = {};
  for (const [i, tensor] of ["k", "v"].entries()) {
    const { data } = tensorOf({ kind: "normal", seed: seed + i, heads, tokens, channels });
    for (const [part, value] of Object.entries(await program.run({ x: data }, { tokens }))) {
      cache[`${tensor}.${part}`] = value;
    }
  }
  return cache;
};

/**
 * Attends to a cache of some tokens that lies on the device; throws where that is beyond rounding, or
 * where a row that sees nothing is not 0. Of two rows of a causal attention the last sees all tokens.
 */
export const attended = async (
  programs: Programs,
  given: Case,
  form: Form,
  tokens: number,
): Promise<void> => {
  const seed = seedNow() + tokens;
  const past = tokens - ROWS;
  const term = attention(given, form);
  const program = await programs(JSON.stringify(form), () => ({ out: term }));
  const cache = await cacheOn(programs, given, form.heads, tokens, seed);
  const rows = form.rows === 1 ? 1 : ROWS;
  const [channels] = given.channels;
  const count = form.heads * form.group * rows * channels;
  const q = tensorOf({ kind: "normal", seed: seed + 2, heads: 1, tokens: 1, channels: count });
  const own = { q: q.data, ...form.causal && { past: [past] } };
  const sizes = { tokens, rows };
  const { out } = await program.values({ ...cache, ...own }, sizes);
  const parts: Record<string, Float64Array> = {};
  for (const [part, tensor] of Object.entries(cache)) parts[part] = await tensor.read();
  Object.values(cache).forEach((t) => t.dispose());
  const over = excess(out, term, program.outputs.out, { sizes, inputs: { ...parts, ...own } });
  const what = `KVFOLD_SEED=${seedNow()}: ${tokens} tokens`;
  ok(over <= 0, `${what}: ${over} beyond the rounding of\n${print(term)}`);
  if (!form.causal) return;
  const row = (i: number): number => Math.floor(i / channels) % rows;
  const blind = out.filter((_, i) => row(i) + past < 0);
  ok(blind.every((x) => x === 0), `${what}: a row that sees nothing is not 0`);
};
