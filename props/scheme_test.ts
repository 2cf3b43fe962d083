/** Schemes against numbers found independently; the laws of every scheme are in `contract/codecs.ts`. */
import { equal, ok } from "node:assert/strict";
import type { Codec } from "../dsl/codec/codec.ts";
import type { Bits } from "../dsl/core/dtype.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { SCHEMES } from "../dsl/schemes/mod.ts";
import { rtnGrouped } from "../dsl/schemes/rtn.ts";
import { normals } from "./arbitraries.ts";
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
];

for (const [name, codec, expected] of MSE) {
  Deno.test(`normal vectors, ${name}: the known error within 3 %`, () => {
    const data = Float64Array.from({ length: 64 * 3000 }, normals(1));
    const { decoded } = run(codec, { shape: [3000, 64], data }, false);
    const squares = (at: (i: number) => number): number =>
      data.reduce((t, _, i) => t + at(i) ** 2, 0);
    const mse = squares((i) => decoded[i] - data[i]) / squares((i) => data[i]);
    ok(Math.abs(mse / expected - 1) <= 0.03, `${mse} is not ${expected}`);
  });
}

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
