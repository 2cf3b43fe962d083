/** The forward pass against plain loops in f64, and what a window must be. */
import assert from "node:assert/strict";
import { isLeft } from "../fp.ts";
import { quantize, rtn } from "../mod.ts";
import { type ModelConfig, tensorShapes } from "./config.ts";
import { describe, ModelFailure } from "./errors.ts";
import { type Model, tryLoadModel } from "./load.ts";
import { deviation, relative } from "./quality.ts";
import { openRunner } from "./runner.ts";
import type { Weight } from "./weights.ts";

const config = (ropeInterleaved: boolean): ModelConfig => ({
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  vocabSize: 11,
  contextLength: 9,
  normEps: 1e-5,
  ropeTheta: 100,
  ropeInterleaved,
});

/** Weights of mixed signs, the same on every run. */
const tiny = (c: ModelConfig): Model => {
  let seed = 1;
  const next = (): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed / 2 ** 31 - 1;
  };
  const weights = [...tensorShapes(c)].map(([name, shape]): [string, Weight] => {
    const count = shape.reduce((n, d) => n * d, 1);
    return [name, { shape, dtype: "F32", data: Float32Array.from({ length: count }, next) }];
  });
  return { config: c, weights: new Map(weights) };
};

type Matrix = readonly (readonly number[])[];

/** Logits by the textbook: one token, one head, one channel at a time. */
const plain = ({ config: c, weights }: Model, ids: readonly number[]): number[] => {
  const vector = (name: string): number[] => [...weights.get(`model.${name}.weight`)!.data];
  const times = (name: string, x: readonly number[]): number[] => {
    const w = vector(name);
    return Array.from(
      { length: w.length / x.length },
      (_, o) => x.reduce((sum, xi, i) => sum + xi * w[o * x.length + i]!, 0),
    );
  };
  const norm = (name: string, x: readonly number[]): number[] => {
    const mean = x.reduce((sum, xi) => sum + xi * xi, 0) / x.length;
    return vector(name).map((g, i) => g * x[i]! / Math.sqrt(mean + c.normEps));
  };
  const head = (x: readonly number[], h: number): number[] =>
    x.slice(h * c.headDim, (h + 1) * c.headDim);
  const turn = (x: readonly number[], token: number): number[] => {
    const [out, half] = [[...x], c.headDim / 2];
    for (let i = 0; i < half; i++) {
      const [a, b] = c.ropeInterleaved ? [2 * i, 2 * i + 1] : [i, i + half];
      const angle = token * c.ropeTheta ** (-2 * i / c.headDim);
      out[a] = x[a]! * Math.cos(angle) - x[b]! * Math.sin(angle);
      out[b] = x[a]! * Math.sin(angle) + x[b]! * Math.cos(angle);
    }
    return out;
  };
  const attend = (q: readonly number[], k: Matrix, v: Matrix): number[] => {
    const scores = k.map((row) =>
      Math.exp(row.reduce((sum, ki, i) => sum + ki * q[i]!, 0) / Math.sqrt(c.headDim))
    );
    const total = scores.reduce((sum, s) => sum + s, 0);
    return q.map((_, e) => v.reduce((sum, row, t) => sum + scores[t]! * row[e]!, 0) / total);
  };
  const add = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => x + b[i]!);
  let x = ids.map((id) => vector("embed_tokens").slice(id * c.hiddenSize, (id + 1) * c.hiddenSize));
  for (let layer = 0; layer < c.layers; layer++) {
    const at = `layers.${layer}`;
    const h = x.map((row) => norm(`${at}.input_layernorm`, row));
    const [q, k, v] = ["q", "k", "v"].map((p) =>
      h.map((r) => times(`${at}.self_attn.${p}_proj`, r))
    );
    x = x.map((row, t) => {
      const seen = Array.from({ length: c.heads }, (_, n) => {
        const shared = Math.floor(n / (c.heads / c.kvHeads));
        const keys = k!.slice(0, t + 1).map((r, u) => turn(head(r, shared), u));
        return attend(
          turn(head(q![t]!, n), t),
          keys,
          v!.slice(0, t + 1).map((r) => head(r, shared)),
        );
      });
      const middle = add(row, times(`${at}.self_attn.o_proj`, seen.flat()));
      const g = norm(`${at}.post_attention_layernorm`, middle);
      const up = times(`${at}.mlp.up_proj`, g);
      const gated = times(`${at}.mlp.gate_proj`, g).map((s, i) => s / (1 + Math.exp(-s)) * up[i]!);
      return add(middle, times(`${at}.mlp.down_proj`, gated));
    });
  }
  return x.flatMap((row) => times("embed_tokens", norm("norm", row)));
};

for (const interleaved of [true, false]) {
  const pairs = interleaved ? "neighbours" : "halves";
  Deno.test(`llama: logits are those of plain loops, RoPE on ${pairs}`, async () => {
    const model = tiny(config(interleaved));
    const runner = await openRunner(model);
    // One compile serves every length.
    for (const ids of [[3, 1], [0, 10, 4, 4, 7], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      const { logits } = await runner.run(ids);
      // Some 30 roundings deep, each at most 2^-24, and room for sums.
      const error = relative(deviation(plain(model, ids), logits));
      assert.ok(error < 100 * 2 ** -24, `${ids.length} tokens: ${error}`);
    }
    runner.close();
  });
}

Deno.test("llama: a token changes nothing before itself, exactly", async () => {
  const runner = await openRunner(tiny(config(true)));
  const scheme = quantize({ bits: 8, per: "token", range: "asymmetric" });
  for (const codecs of [undefined, { k: scheme, v: rtn(4) }]) {
    const [a, b] = [
      await runner.run([1, 2, 3, 4, 5], codecs),
      await runner.run([1, 2, 3, 9], codecs),
    ];
    assert.deepEqual(a.logits.subarray(0, 3 * 11), b.logits.subarray(0, 3 * 11));
    assert.notDeepEqual(a.logits.subarray(33, 44), b.logits.subarray(33, 44));
  }
});

Deno.test("llama: K and V may have different codecs, and are seen on request", async () => {
  const runner = await openRunner(tiny(config(true)));
  const codecs = { k: rtn(8), v: rtn(2) };
  const { layers } = await runner.run([1, 2, 3, 4, 5, 6], codecs, { see: true });
  assert.equal(layers.length, 2);
  for (const { kBytes, vBytes, seen } of layers) {
    // Eight codes a token and half a scale.
    assert.deepEqual([kBytes, vBytes], [6 * 8 + 12, 6 * 4 + 12]);
    const [k, v, out] = [seen!.k, seen!.v, seen!.attention].map((pair) =>
      relative(deviation(...pair))
    );
    assert.ok(0 < k! && k! < 0.01, `error of K ${k}`);
    assert.ok(0.1 < v! && v! < 1, `error of V ${v}`);
    assert.ok(0 < out! && out! < 1, `error of attention ${out}`);
    assert.equal(seen!.attention[0].length, 2 * 2 * 6 * 4);
  }
  const exact = await runner.run([1, 2, 3], undefined, { see: true });
  for (const { seen } of exact.layers) {
    for (const [a, b] of [seen!.k, seen!.v, seen!.attention]) assert.deepEqual(a, b);
  }
});

Deno.test("llama: a window that does not fit is refused with both numbers", async () => {
  const runner = await openRunner(tiny(config(true)));
  const refusal = async (tokens: readonly number[]): Promise<string> => {
    const result = await runner.tryRun(tokens);
    assert.ok(isLeft(result), "was accepted");
    return describe(result.left);
  };
  assert.equal(await refusal([]), "window: wants 2 to 9 tokens, has 0");
  assert.equal(await refusal([1]), "window: wants 2 to 9 tokens, has 1");
  assert.equal(await refusal(Array(10).fill(1)), "window: wants 2 to 9 tokens, has 10");
  assert.equal(await refusal([1, 2, 11]), "token 2: is 11, the vocabulary has 0 to 10");
  assert.equal(await refusal([1, -1]), "token 1: is -1, the vocabulary has 0 to 10");
  assert.match(await refusal([1, NaN]), /^token 1: is NaN/);
  await assert.rejects(() => runner.run([1]), ModelFailure);
});

Deno.test("load: a folder that is not there is refused by its path", () => {
  const result = tryLoadModel("models/nowhere");
  assert.ok(isLeft(result));
  assert.equal(describe(result.left), "models/nowhere/config.json: there is no such file");
});
