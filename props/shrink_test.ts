/** What stands above noise: medians of noise, shrunk singular values, and what balancing and angles leave. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { VALUES } from "../dsl/codec/codec.ts";
import { balance } from "../dsl/decompose/balance.ts";
import { noiseMedian } from "../dsl/decompose/noise.ts";
import { pca } from "../dsl/decompose/pca.ts";
import { directionOf, polar } from "../dsl/decompose/polar.ts";
import { shrunk } from "../dsl/decompose/shrink.ts";
import { quadrantAngles } from "../dsl/quantize/angles.ts";
import { magnitudeQuantile } from "../dsl/quantize/levels.ts";
import { normals, samples, tensorOf } from "./arbitraries.ts";
import { check, seedNow } from "./check.ts";
import { type Given, run } from "./laws/codec.ts";
import { matrixOf, singularValues } from "./laws/factors.ts";

const CHANNELS = 16;
const normalTensor = (rows: number, next: () => number): Float64Array =>
  Float64Array.from({ length: rows * CHANNELS }, next);

Deno.test("the median of noise is that of sampled matrices", () => {
  const seed = seedNow();
  const next = normals(seed);
  for (const rows of [16, 24, 64]) {
    const found: number[] = [];
    for (let i = 0; i < 60; i++) {
      const s = singularValues(matrixOf(normalTensor(rows, next), CHANNELS));
      found.push(...s.map((x) => x * x / rows));
    }
    const middle = found.toSorted((a, b) => a - b)[found.length >> 1];
    // 960 values on a density of about 1/2 at the least: a tenth is six of its errors.
    const want = noiseMedian(CHANNELS / rows);
    ok(Math.abs(middle - want) < 0.1, `KVFOLD_SEED=${seed}: ${middle} of ${rows} is not ${want}`);
  }
});

/** A signal of rank 2 of some size, noise, and both. */
const noisy = (rows: number, size: number, seed: number): { x: Given; signal: Float64Array } => {
  const next = normals(seed);
  const [u, v] = [normalTensor(rows, next), normalTensor(CHANNELS, next)];
  const signal = Float64Array.from({ length: rows * CHANNELS }, (_, i) => {
    const [t, j] = [Math.floor(i / CHANNELS), i % CHANNELS];
    return size * (u[t] * v[j] + u[t + rows] * v[j + CHANNELS] / 2);
  });
  return { x: { shape: [rows, CHANNELS], data: signal.map((s) => s + next()) }, signal };
};

check(
  "shrunk: singular values are those of the paper's formula, by plain loops",
  fc.property(
    fc.integer({ min: 2, max: 40 }),
    fc.double({ min: 0, max: 4, noNaN: true }),
    fc.integer(),
    fc.boolean(),
    (rows, size, seed, dynamic) => {
      const { x } = noisy(rows, size, seed);
      const { decoded } = run(shrunk({ rank: CHANNELS }), x, dynamic);
      const [own, kept] = [x.data, decoded].map((data) => singularValues(matrixOf(data, CHANNELS)));
      const [fewer, more] = [Math.min(rows, CHANNELS), Math.max(rows, CHANNELS)];
      const beta = fewer / more;
      const middle = (own[(fewer - 1) >> 1] + own[fewer >> 1]) / 2;
      const noise = middle / Math.sqrt(more * noiseMedian(beta));
      const wanted = own.slice(0, fewer).map((s) => {
        const y = s / (noise * Math.sqrt(more));
        const inside = (y * y - beta - 1) ** 2 - 4 * beta;
        return y > 1 + Math.sqrt(beta) ? noise * Math.sqrt(more) * Math.sqrt(inside) / y : 0;
      });
      // Medians between steps of β are off by 1e-4; at the edge a root is steep.
      return wanted.every((w, i) => Math.abs(w - kept[i]) <= 0.03 * own[0]);
    },
  ),
  30,
);

Deno.test("shrunk comes closer to the signal than as many whole axes do, from none to much of it", () => {
  const seed = seedNow();
  for (const size of [0, 0.3, 1, 4]) {
    const { x, signal } = noisy(120, size, seed);
    const [a, b] = [shrunk({ rank: 4 }), pca({ rank: 4 })].map((codec) =>
      run(codec, x, false).decoded.reduce((sum, y, i) => sum + (y - signal[i]) ** 2, 0)
    );
    ok(a < b, `KVFOLD_SEED=${seed}: ${a} is not below ${b} at ${size}`);
  }
});

check(
  "balance: every token has mean square 1, channels nearly so where none is far smaller",
  fc.property(fc.integer({ min: 24, max: 60 }), fc.integer(), (rows, seed) => {
    const next = normals(seed);
    const [tokens, channels] = [rows, CHANNELS].map((n) =>
      Array.from({ length: n }, () => Math.exp(2 * next()))
    );
    const data = normalTensor(rows, next).map((x, i) =>
      x * tokens[Math.floor(i / CHANNELS)] * channels[i % CHANNELS]
    );
    const { data: y } = run(
      balance({ rounds: 16, stored: "f32" }),
      { shape: [rows, CHANNELS], data },
      true,
    ).parts[VALUES];
    const mean = (count: number, at: (i: number) => number): number =>
      Array.from({ length: count }, (_, i) => y[at(i)] ** 2).reduce((a, b) => a + b) / count;
    return tokens.every((_, t) => Math.abs(mean(CHANNELS, (i) => t * CHANNELS + i) - 1) < 1e-9) &&
      channels.every((_, j) => Math.abs(mean(rows, (i) => i * CHANNELS + j) - 1) < 1e-6);
  }),
  20,
);

check(
  "polar: directions lie on the unit circle, from the second level on in its first quadrant",
  fc.property(samples([CHANNELS], 2, 12), (s) => {
    const { parts } = run(polar({ levels: 3 }), tensorOf(s), true);
    return [1, 2, 3].every((level) => {
      const { data } = parts[directionOf(level)];
      return Array.from({ length: data.length / 2 }, (_, i) => [data[2 * i], data[2 * i + 1]])
        .every(([a, b]) => {
          const long = a * a + b * b;
          return (long === 0 || Math.abs(long - 1) < 1e-12) &&
            (level === 1 || (a >= 0 && b >= 0));
        });
    });
  }),
  20,
);

Deno.test("quadrantAngles(): centroids of an independent simulation", () => {
  const known = {
    2: [0.3098, 0.6340, 0.9368, 1.2610],
    3: [0.4262, 0.6744, 0.8964, 1.1446],
    4: [0.5242, 0.7059, 0.8649, 1.0466],
  };
  for (const [level, angles] of Object.entries(known)) {
    const found = quadrantAngles(2, Number(level));
    ok(angles.every((a, i) => Math.abs(a - found[i]) < 5e-4), `level ${level}: ${found}`);
  }
});

Deno.test("magnitudeQuantile(): the quantiles that tables give", () => {
  for (const [p, x] of [[0.5, 0.6745], [0.92, 1.7507], [0.96, 2.0537], [0, 0]] as const) {
    ok(Math.abs(magnitudeQuantile(p) - x) < 5e-5, `${magnitudeQuantile(p)} is not ${x}`);
  }
});
