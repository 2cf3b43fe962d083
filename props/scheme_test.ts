/** Schemes against numbers found independently; the laws of every scheme are in `contract/codecs.ts`. */
import { equal, ok, throws } from "node:assert/strict";
import { bitsOf, type Codec } from "../dsl/codec/codec.ts";
import { window } from "../dsl/codec/window.ts";
import type { Bits } from "../dsl/core/dtype.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { fp8, mxfp4, nvfp4 } from "../dsl/schemes/floats.ts";
import { q4_0, q4_1, q8_0 } from "../dsl/schemes/ggml.ts";
import { higgs } from "../dsl/schemes/higgs.ts";
import { kivi } from "../dsl/schemes/kivi.ts";
import { SCHEMES } from "../dsl/schemes/mod.ts";
import { nf4Grouped } from "../dsl/schemes/nf4.ts";
import { oscar } from "../dsl/schemes/oscar.ts";
import { quarot } from "../dsl/schemes/quarot.ts";
import { rtnGrouped } from "../dsl/schemes/rtn.ts";
import { turboquant } from "../dsl/schemes/turboquant.ts";
import { normals } from "./arbitraries.ts";
import { seedNow } from "./check.ts";
import { run } from "./laws/codec.ts";

const symmetric = (bits: Bits): Codec => quantize({ bits, per: "token", range: "symmetric" });

/** ‖x − x̂‖² / ‖x‖² of N(0, 1) vectors of 64, from a simulation apart from this code. */
const MSE: readonly (readonly [string, Codec, number])[] = [
  ["symmetric, a vector, 4 bits", symmetric(4), 0.01161],
  ["symmetric, a vector, 3 bits", symmetric(3), 0.0630],
  ["symmetric, a vector, 2 bits", symmetric(2), 0.516],
  ["asymmetric, groups of 32, 4 bits", rtnGrouped(4, 32), 0.00612],
  ["asymmetric, groups of 64, 4 bits", rtnGrouped(4), 0.00805],
  ["asymmetric, groups of 32, 3 bits", rtnGrouped(3, 32), 0.0280],
  ["asymmetric, groups of 64, 3 bits", rtnGrouped(3), 0.0370],
  ["asymmetric, groups of 32, 2 bits", rtnGrouped(2, 32), 0.154],
  ["asymmetric, groups of 64, 2 bits", rtnGrouped(2), 0.203],
  ["asymmetric, groups of 64, 1 bit", rtnGrouped(1), 2.74],
  ["Lloyd-Max and norm, 1 bit", turboquant(1), 0.359],
  ["Lloyd-Max and norm, 2 bits", turboquant(2), 0.115],
  ["Lloyd-Max and norm, 3 bits", turboquant(3), 0.0335],
  ["Lloyd-Max and norm, 4 bits", turboquant(4), 0.0092],
  ["the same with its norm kept, 2 bits", turboquant(2, { keepNorm: true }), 0.117],
  ["the same with its norm kept, 4 bits", turboquant(4, { keepNorm: true }), 0.0089],
  ["q4_0", q4_0, 0.0074],
  ["q4_1", q4_1, 0.0061],
  ["q8_0", q8_0, 3e-5],
  ["NF4, groups of 64", nf4Grouped(), 0.0085],
  ["E4M3", fp8("e4m3"), 7.0e-4],
  ["E5M2", fp8("e5m2"), 2.8e-3],
  ["MXFP4", mxfp4(), 0.0133],
  ["MXFP4, blocks of 16", mxfp4(16), 0.0139],
  ["NVFP4", nvfp4, 0.0090],
  ["pairs by 16 points", higgs, 0.107],
  ["clipped at the .92 quantile, 2 bits", oscar("v"), 0.124],
];

/** Numbers known to one digit only. */
const COARSE: ReadonlySet<Codec> = new Set([q8_0]);

for (const [name, codec, expected] of MSE) {
  Deno.test(`normal vectors, ${name}: the known error within 3 %`, () => {
    const seed = seedNow();
    const data = Float64Array.from({ length: 64 * 3000 }, normals(seed));
    const { decoded } = run(codec, { shape: [3000, 64], data }, false);
    const squares = (at: (i: number) => number): number =>
      data.reduce((t, _, i) => t + at(i) ** 2, 0);
    const mse = squares((i) => decoded[i] - data[i]) / squares((i) => data[i]);
    const limit = COARSE.has(codec) ? 1 / 6 : 0.03;
    ok(Math.abs(mse / expected - 1) <= limit, `KVFOLD_SEED=${seed}: ${mse} is not ${expected}`);
    // No code of N(0, 1) errs less than 4^−bits (Shannon 1959).
    ok(mse >= 4 ** -bitsOf(codec, ["tokens", 64]), `KVFOLD_SEED=${seed}: ${mse} is too little`);
  });
}

Deno.test("bits of what takes more than a number of bits are those of its paper", () => {
  const open = [3, "tokens", 64];
  const { k, v } = kivi(2);
  const bits = [quarot(2, 32), nf4Grouped(), k, v].map((codec) => bitsOf(codec, open));
  equal(bits.join(), [2 + 32 / 32, 4.25, 2 + 32 / 32, 2 + 32 / 32].join());
  // 256 tokens are packed, 44 are not.
  const known = (256 * 3 + 44 * 16) / 300;
  for (const codec of [k, v]) {
    equal(bitsOf(codec, [3, 300, 64]), known);
    equal(bitsOf(codec, open, { tokens: 300 }), known);
  }
});

Deno.test("kivi() gives an outlier channel a scale of its own", () => {
  const next = normals(3);
  const data = Float64Array.from({ length: 96 * 64 }, (_, i) => next() * (i % 64 === 5 ? 50 : 1));
  const error = (codec: Codec): number => {
    const { decoded } = run(codec, { shape: [1, 96, 64], data }, false);
    return Math.hypot(...data.map((x, i) => i % 64 === 5 ? 0 : decoded[i] - x));
  };
  const { k, v } = kivi(4, 32, 96);
  ok(error(k) < 0.5 * error(v), `${error(k)} of keys, ${error(v)} as values`);
});

Deno.test("a group of tokens of a number that is not known is refused", () => {
  const codec = quantize({ bits: 2, per: { tokens: 32 }, range: "asymmetric" });
  throws(() => bitsOf(codec, [1, "tokens", 64]), /group of 32 tokens .* \[1,"tokens",64\]/);
  throws(() => bitsOf(window({ tail: 8, group: 48 }, codec), [1, "tokens", 64]), /group of 32/);
});

Deno.test("parts of the schemes lie as their papers say", () => {
  const x = { shape: [3, 10, 64], data: Float64Array.from({ length: 1920 }, normals(2)) };
  const shapes = (codec: Codec): Record<string, readonly number[]> =>
    Object.fromEntries(Object.entries(run(codec, x, false).parts).map(([k, v]) => [k, v.shape]));
  equal(
    JSON.stringify(shapes(SCHEMES.decoquantB(4))),
    JSON.stringify({
      "small.values": [16, 16],
      "large.codes": [10, 192],
      "large.scale": [10],
    }),
  );
  equal(
    JSON.stringify(shapes(SCHEMES.decoquantA(4))),
    JSON.stringify({
      "small.values": [10, 10],
      "large.codes": [192, 10],
      "large.scale": [192],
    }),
  );
});
