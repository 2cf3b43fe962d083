/** Rotations turned back, and those to come; what ExpectedAttention makes of them, against plain loops. */
import assert from "node:assert/strict";
import { center, compile, evaluate, expectedAttention, f16, input, preRope } from "../mod.ts";
import type { ModelConfig } from "./config.ts";
import {
  aroundMean,
  fromPlaces,
  meanAhead,
  ropeOf,
  ropeTables,
  storedUnturned,
  unturned,
} from "./rope.ts";

const D = 4;
const config = (ropeInterleaved: boolean): ModelConfig => ({
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: D,
  vocabSize: 11,
  contextLength: 64,
  normEps: 1e-5,
  ropeTheta: 100,
  ropeInterleaved,
});

/** A row as its place turns it. */
const turned = (c: ModelConfig, x: ArrayLike<number>, token: number): number[] => {
  const { cos, sin } = ropeTables(c, 1, token);
  const out = Array<number>(D).fill(0);
  for (let i = 0; i < D / 2; i++) {
    const [a, b] = c.ropeInterleaved ? [2 * i, 2 * i + 1] : [i, i + D / 2];
    out[a] = x[a]! * cos[i]! - x[b]! * sin[i]!;
    out[b] = x[a]! * sin[i]! + x[b]! * cos[i]!;
  }
  return out;
};

const numbers = (n: number, seed: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => Math.fround(Math.sin(7 * i + seed) + 0.1 * seed));

const near = (a: ArrayLike<number>, b: ArrayLike<number>, within: number): void => {
  assert.equal(a.length, b.length);
  for (let i = 0; i < a.length; i++) {
    assert.ok(Math.abs(a[i]! - b[i]!) <= within, `${i}: ${a[i]} is not ${b[i]}`);
  }
};

Deno.test("rope: rows turned back are what they were, rotations to come are those of 512 places", () => {
  for (const c of [true, false].map(config)) {
    const x = numbers(2 * 5 * D, 1);
    const rows = Array.from(
      { length: 10 },
      (_, r) => turned(c, x.subarray(r * D, (r + 1) * D), r % 5),
    );
    near(unturned(c, rows.flat(), 5), x, 1e-12);
    const mean = meanAhead(c, 5);
    const one = x.subarray(0, D);
    const all = Array.from({ length: 512 }, (_, i) => turned(c, one, 5 + i));
    const wanted = Array.from({ length: D }, (_, e) => all.reduce((s, y) => s + y[e]!, 0) / 512);
    const got = Array.from(
      { length: D },
      (_, e) => one.reduce((s, y, d) => s + mean[e * D + d]! * y, 0),
    );
    near(got, wanted, 1e-12);
  }
});

Deno.test("expectedAttention: salience is that of normal queries to come, by plain loops", () => {
  const [tokens, group, sinks] = [9, 2, 4];
  const c = config(true);
  const [raw, k, v] = [
    numbers(group * tokens * D, 1),
    numbers(tokens * D, 2),
    numbers(tokens * D, 3),
  ];
  const ahead = meanAhead(c, tokens);
  const row = (x: Float64Array, at: number): number[] => [...x.subarray(at * D, (at + 1) * D)];
  const wanted = Array<number>(tokens).fill(0);
  for (let g = 0; g < group; g++) {
    const qs = Array.from({ length: tokens - sinks }, (_, i) => row(raw, g * tokens + sinks + i))
      .map((q) =>
        Array.from({ length: D }, (_, e) => q.reduce((s, y, d) => s + ahead[e * D + d]! * y, 0))
      );
    const n = qs.length;
    // Turning is linear: mean and covariance of turned queries are those turned.
    const mean = Array.from({ length: D }, (_, e) => qs.reduce((s, q) => s + q[e]!, 0) / n);
    const z = Array.from({ length: tokens }, (_, t) => {
      const key = row(k, t);
      const dots = qs.map((q) => q.reduce((s, y, d) => s + y * key[d]!, 0));
      const at = mean.reduce((s, y, d) => s + y * key[d]!, 0);
      const spread = dots.reduce((s, y) => s + y * y, 0) / n - at * at;
      return at / Math.sqrt(D) + spread / (2 * D);
    });
    const sum = z.reduce((s, y) => s + Math.exp(y), 0);
    z.forEach((y, t) => wanted[t]! += Math.exp(y) / sum * Math.hypot(...row(v, t)));
  }
  const { salience } = expectedAttention({ keep: 0.5, sinks }, f16);
  const found = evaluate(
    salience!({
      q: input("q", [1, group, "tokens", D], "f32"),
      k: input("k", [1, "tokens", D], "f32"),
      v: input("v", [1, "tokens", D], "f32"),
      raw: input("raw", [1, group, "tokens", D], "f32"),
      ahead: input("ahead", [D, D], "f32"),
    }),
    { sizes: { tokens }, inputs: { q: raw, k, v, raw, ahead } },
  );
  near(found.data, wanted, 1e-5);
});

Deno.test("preRope: what it stores is what plain loops turn back, whichever channels are a pair", async () => {
  const [heads, tokens, d] = [2, 600, 8];
  const x = Array.from({ length: heads * tokens * d }, (_, i) => Math.sin(i * i));
  for (const ropeInterleaved of [true, false]) {
    const c = { ...config(ropeInterleaved), headDim: d };
    const given = input("x", [heads, "tokens", d], "f32");
    const program = await compile({ ...preRope(ropeOf(c)).encode(given) });
    const { values } = await program.values({ x });
    const wanted = storedUnturned(c, Float32Array.from(x), tokens);
    const most = wanted.reduce((top, y, i) => Math.max(top, Math.abs(y - values[i]!)), 0);
    // Two products and their sum, of rows of a table that are products of two roundings each.
    assert.ok(most < 8 * 2 ** -24, `${most}`);
  }
});

Deno.test("center within preRope: what it leaves of keys is what plain loops leave", async () => {
  const [heads, tokens] = [2, 40];
  const x = Float32Array.from({ length: heads * tokens * D }, (_, i) => 3 + Math.sin(i * i));
  for (const ropeInterleaved of [true, false]) {
    const c = config(ropeInterleaved);
    const codec = center({ stored: "f32", within: preRope(ropeOf(c)) });
    const program = await compile({ ...codec.encode(input("x", [heads, "tokens", D], "f32")) });
    const { values } = await program.values({ x });
    const most = aroundMean(c, x, tokens)
      .reduce((top, y, i) => Math.max(top, Math.abs(y - values[i]!)), 0);
    // A sum of 40 numbers below 4, and two products with it.
    assert.ok(most < 4 * (40 + 8) * 2 ** -24, `${most}`);
  }
});

Deno.test("fromPlaces: queries look at keys before RoPE from all places behind them", () => {
  const [c, tokens, half] = [config(false), 5, D / 2];
  const weight = Array.from(
    { length: D },
    (_, i) => Array.from({ length: D }, (_, j) => Math.cos(i * j + Math.min(i, j))),
  );
  const wanted = weight.map((row) => row.map(() => 0));
  for (let query = 0; query < tokens; query++) {
    for (let key = 0; key <= query; key++) {
      const { cos, sin } = ropeTables(c, 1, query - key);
      const turn = weight.map((row, i) =>
        row.map((_, j) => {
          const pair = i % half;
          if (j % half !== pair) return 0;
          return i === j ? cos[pair]! : i < j ? -sin[pair]! : sin[pair]!;
        })
      );
      for (const [i, j] of weight.flatMap((row, i) => row.map((_, j) => [i, j] as const))) {
        let sum = 0;
        weight.forEach((row, k) => row.forEach((w, l) => sum += turn[i]![k]! * w * turn[j]![l]!));
        wanted[i]![j]! += sum / (tokens * (tokens + 1) / 2);
      }
    }
  }
  const found = fromPlaces(c, weight, tokens).flat();
  assert.ok(wanted.flat().every((w, i) => Math.abs(w - found[i]!) < 1e-12));
});
