import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { isLeft } from "../fp.ts";
import { checkWeights, parseConfig, tensorShapes } from "./config.ts";
import { describe, orThrow } from "./errors.ts";
import { parseSafetensors } from "./safetensors.ts";
import { weight } from "./weights.ts";

const bytes = readFileSync(new URL("./wiki4m/config.json", import.meta.url));
const good = JSON.parse(bytes.toString()) as Readonly<Record<string, unknown>>;

const refusal = (change: Readonly<Record<string, unknown>>): string => {
  const text = JSON.stringify({ ...good, ...change });
  const result = parseConfig(new TextEncoder().encode(text));
  assert.ok(isLeft(result), "was accepted");
  return describe(result.left);
};

Deno.test("config: the embedded model", () => {
  assert.deepEqual(orThrow(parseConfig(bytes)), {
    hiddenSize: 256,
    intermediateSize: 688,
    layers: 4,
    heads: 4,
    kvHeads: 2,
    headDim: 64,
    vocabSize: 2048,
    contextLength: 1024,
    normEps: 1e-5,
    ropeTheta: 10000,
    ropeInterleaved: true,
  });
});

Deno.test("config: what is not understood is refused by name", () => {
  const cases: readonly (readonly [Readonly<Record<string, unknown>>, RegExp])[] = [
    [{ hidden_size: 0 }, /hidden_size: wants a positive integer, has 0/],
    [{ hidden_size: "256" }, /hidden_size: wants a positive integer, has "256"/],
    [{ head_dim: 63 }, /head_dim: wants an even number, has 63/],
    [{ vocab_size: 2 ** 40 }, /vocab_size: is 1099511627776, over the limit/],
    [{ num_hidden_layers: 1e6 }, /num_hidden_layers: is 1000000, over the limit of 1024/],
    [{ num_key_value_heads: 3 }, /num_attention_heads: wants a multiple.* 3, has 4/],
    [{ rms_norm_eps: -1 }, /rms_norm_eps/],
    [{ rope_theta: null }, /rope_theta: wants a positive number, has null/],
    [{ rope_interleaved: "yes" }, /rope_interleaved/],
    [{ rope_scaling: { factor: 8 } }, /rope_scaling: wants null, has an object/],
    [{ tie_word_embeddings: undefined }, /tie_word_embeddings: wants true, has nothing/],
    [{ hidden_act: "gelu" }, /hidden_act: wants "silu", has "gelu"/],
  ];
  for (const [change, text] of cases) assert.match(refusal(change), text);
});

Deno.test("config: the embedded weights have every tensor in its shape, and no other", () => {
  const config = orThrow(parseConfig(bytes));
  const raw = readFileSync(new URL("./wiki4m/model.safetensors", import.meta.url));
  const weights = orThrow(checkWeights(config, orThrow(parseSafetensors(raw))));
  assert.deepEqual([...weights.keys()], [...tensorShapes(config).keys()]);
  const count = [...weights.values()].reduce((n, { data }) => n + data.length, 0);
  assert.equal(count, 3_426_560);
  for (const { dtype, data } of weights.values()) {
    assert.equal(dtype, "F16");
    assert.ok(data.every(Number.isFinite));
  }
});

Deno.test("config: a missing tensor and a wrong shape are named", () => {
  const config = orThrow(parseConfig(bytes));
  const missing = checkWeights(config, new Map());
  assert.ok(isLeft(missing));
  assert.match(describe(missing.left), /"model.embed_tokens.weight".*\[2048, 256\].*lacks/);
  const short = weight([2048], "F32", new Uint8Array(8192));
  const wrong = checkWeights(config, new Map([["model.embed_tokens.weight", short]]));
  assert.ok(isLeft(wrong));
  assert.match(describe(wrong.left), /wants \[2048, 256\], but the file has \[2048\]/);
});
