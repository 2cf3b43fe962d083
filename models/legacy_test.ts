import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { isLeft } from "../fp.ts";
import { checkWeights, parseConfig } from "./config.ts";
import { describe, orThrow } from "./errors.ts";
import { fromHalf, toHalf } from "./half.ts";
import { parseLegacy } from "./legacy.ts";
import { parseSafetensors } from "./safetensors.ts";
import { testShared } from "./shared_test.ts";
import { writeConfig, writeSafetensors } from "./wiki4m/convert.ts";

const tiny = [4, 3, 2, 2, 1, 5, 8];

/** A file whose numbers count up from 0. */
const legacy = (sizes: readonly number[], floats: number): Uint8Array => {
  const out = new Uint8Array(28 + 4 * floats);
  const view = new DataView(out.buffer);
  sizes.forEach((size, i) => view.setInt32(4 * i, size, true));
  for (let i = 0; i < floats; i++) view.setFloat32(28 + 4 * i, i, true);
  return out;
};

const perLayer = 4 + 16 + 8 + 8 + 16 + 4 + 12 + 12 + 12;
const floats = 20 + 2 * perLayer + 4 + 8 * 2;

Deno.test("legacy: tensors are found kind by kind, then layer by layer", () => {
  const { config, weights } = orThrow(parseLegacy(legacy(tiny, floats)));
  assert.equal(config.headDim, 2);
  orThrow(checkWeights(config, weights));
  const first = (name: string): number | undefined => weights.get(name)?.data[0];
  assert.equal(first("model.embed_tokens.weight"), 0);
  assert.equal(first("model.layers.0.input_layernorm.weight"), 20);
  assert.equal(first("model.layers.1.input_layernorm.weight"), 24);
  assert.equal(first("model.layers.1.self_attn.k_proj.weight"), 28 + 32 + 8);
  assert.equal(first("model.norm.weight"), 20 + 2 * perLayer);
});

Deno.test("legacy: a file is refused unless its sizes explain every byte", () => {
  const refusal = (bytes: Uint8Array): string => {
    const result = parseLegacy(bytes);
    assert.ok(isLeft(result), "was accepted");
    return describe(result.left);
  };
  const good = legacy(tiny, floats);
  for (let n = 0; n < good.length; n++) refusal(good.subarray(0, n));
  assert.match(refusal(legacy(tiny, floats + 1)), /needs 924 bytes, has 928/);
  assert.match(refusal(legacy([4, 3, 2, 2, 1, -5, 8], floats)), /vocab: .*has -5/);
  assert.match(refusal(legacy([5, 3, 2, 2, 1, 5, 8], floats)), /dim: wants a multiple of heads, 2/);
  assert.match(refusal(legacy([4, 3, 2, 2, 2 ** 30, 5, 8], floats)), /kv_heads: is 1073741824/);
  assert.match(refusal(legacy([4, 3, 2 ** 30, 2, 1, 5, 8], floats)), /layers.*limit of 1024/);
  assert.match(refusal(legacy([1 << 16, 1 << 20, 1024, 1, 1, 1 << 24, 1 << 24], 0)), /has 28/);
});

testShared(
  "legacy: the embedded model is the f32 original, rounded once",
  ["models/wiki4M/wiki4M.bin"],
  ([path]) => {
    const read = (name: string): Uint8Array =>
      readFileSync(new URL(`./wiki4m/${name}`, import.meta.url));
    const { config, weights } = orThrow(parseLegacy(readFileSync(path!)));
    const ours = orThrow(parseSafetensors(read("model.safetensors")));
    assert.deepEqual(config, orThrow(parseConfig(read("config.json"))));
    assert.equal(writeConfig(config), new TextDecoder().decode(read("config.json")));
    assert.equal(ours.size, weights.size);
    for (const [name, { shape, data }] of weights) {
      assert.deepEqual(ours.get(name)?.shape, shape);
      const rounded = ours.get(name)!.data;
      for (let i = 0; i < data.length; i++) {
        if (rounded[i] !== fromHalf(toHalf(data[i]!))) assert.fail(`${name}[${i}]`);
      }
    }
    const again = orThrow(parseSafetensors(writeSafetensors(weights, weights.keys(), {})));
    assert.deepEqual(again.get("model.norm.weight")!.data, ours.get("model.norm.weight")!.data);
  },
);

testShared(
  "legacy: a smaller model in the same layout",
  ["models/stories260K/stories260K.bin"],
  ([path]) => {
    const { config, weights } = orThrow(parseLegacy(readFileSync(path!)));
    assert.deepEqual([config.layers, config.heads, config.kvHeads, config.headDim], [5, 8, 4, 8]);
    orThrow(checkWeights(config, weights));
  },
);
