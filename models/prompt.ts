/**
 * A prompt that was read exactly, before a codec stores it: its keys and values in front of those of the tokens
 * after it, and what its tokens count for codecs that choose.
 *
 * ```text
 * prompt of P tokens, exact     K, V, q of each layer; salience from them        (the choice is the prompt's)
 * n tokens after it             K, V made on what is stored; salience 0, since all of them are kept
 * ```
 * @module
 */
import {
  type Given,
  input,
  type Program,
  type Prompt,
  SALIENCE,
  type Tensor,
  type Term,
  upload,
} from "../mod.ts";
import type { ModelConfig } from "./config.ts";
import { cacheShape, type Formula, queryShape } from "./llama.ts";
import { meanAhead, unturned } from "./rope.ts";

/** What a layer made of a prompt. */
export interface Read {
  /** Queries after RoPE `[kv, group, tokens, d]`. */
  readonly q: Given;
  /** Keys after RoPE `[kv, tokens, d]`. */
  readonly k: Given;
  /** Values `[kv, tokens, d]`. */
  readonly v: Given;
}

/** The formula of what tokens count, of inputs `q`, `k` and `v`, queries as they were before they were turned, and rotations to come. */
export const counting = (c: ModelConfig, salience: (prompt: Prompt) => Term): Formula => ({
  [SALIENCE]: salience({
    q: input("q", queryShape(c), "f32"),
    k: input("k", cacheShape(c), "f32"),
    v: input("v", cacheShape(c), "f32"),
    raw: input("raw", queryShape(c), "f32"),
    ahead: input("ahead", [c.headDim, c.headDim], "f32"),
  }),
});

/** Rows of each head, those of a prompt before those after it: `[heads, before + after, width]`. */
export const inFront = (
  before: ArrayLike<number>,
  after: ArrayLike<number>,
  heads: number,
): Float64Array => {
  const [a, b] = [before.length / heads, after.length / heads];
  const all = new Float64Array(before.length + after.length);
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < a; i++) all[h * (a + b) + i] = before[h * a + i]!;
    for (let i = 0; i < b; i++) all[h * (a + b) + a + i] = after[h * b + i]!;
  }
  return all;
};

const numbersOf = async (given: Given): Promise<ArrayLike<number>> =>
  "memory" in given ? await given.read() : given;

/** Keys or values `[kv, tokens, d]` behind those of a prompt. */
export const behind = async (before: Given, after: Tensor): Promise<Tensor> => {
  const [heads, , d] = after.shape;
  const data = inFront(await numbersOf(before), await after.read(), heads!);
  return upload(after.device, "x", "f32", [heads!, data.length / heads! / d!, d!], data);
};

/** What the tokens of a cache count, as an input; those after a prompt nothing, since they are kept. */
export const counted = async (
  program: Program,
  config: ModelConfig,
  { q, k, v }: Read,
  prompt: number,
  tokens: number,
): Promise<Readonly<Record<string, Float64Array>>> => {
  const turned = await numbersOf(q);
  const [raw, ahead] = [unturned(config, turned, prompt), meanAhead(config, prompt)];
  const found = (await program.values({ q, k, v, raw, ahead }, { tokens: prompt }))[SALIENCE]!;
  const none = new Float64Array(config.kvHeads * (tokens - prompt));
  return { [SALIENCE]: inFront(found, none, config.kvHeads) };
};
