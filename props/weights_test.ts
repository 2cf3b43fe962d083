/** Binds the laws of schemes for weights. */
import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { BITS } from "../dsl/core/dtype.ts";
import { input } from "../dsl/core/build.ts";
import type { Term } from "../dsl/core/term.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { quantizeGroups } from "../dsl/quantize/groups.ts";
import { identity } from "../dsl/codec/codec.ts";
import { evalAll, evaluate } from "../dsl/read/eval.ts";
import { awq } from "../dsl/schemes/awq.ts";
import { gptq, outputLoss } from "../dsl/schemes/gptq.ts";
import { smoothquant } from "../dsl/schemes/smoothquant.ts";
import { powers } from "../dsl/quantize/power.ts";
import { nearestGroups } from "../dsl/weights/scheme.ts";
import { normals } from "./arbitraries.ts";
import { check, hold } from "./check.ts";
import { onDevices, programsOn } from "./devices.ts";
import {
  blocksLaw,
  foldedLaw,
  type Layer,
  layerTerms,
  losses,
  lossOf,
  unrelatedLaw,
} from "./laws/weights.ts";
import { matrixArb, matrixData } from "./matrices.ts";

/**
 * Inputs as the reference of this project's cards has them: x = z·(A + ½·diag e^N), A normal over √n, z
 * normal; some channels are up to e² larger, and all are related.
 */
const layerOf = (seed: number, outputs: number, width: number, tokens: number): Layer => {
  const next = normals(seed);
  const mix = Array.from(
    { length: width },
    () => Float64Array.from({ length: width }, () => next() / Math.sqrt(width)),
  );
  mix.forEach((row, i) => row[i] += Math.exp(next()) / 2);
  const x = new Float64Array(tokens * width);
  for (let t = 0; t < tokens; t++) {
    for (let k = 0; k < width; k++) {
      const z = next();
      for (let j = 0; j < width; j++) x[t * width + j] += z * mix[k][j];
    }
  }
  return { outputs, width, x, w: Float64Array.from({ length: outputs * width }, next) };
};

const options = fc.record({
  bits: fc.constantFrom(...BITS),
  group: fc.integer({ min: 1, max: 16 }),
  actOrder: fc.boolean(),
  block: fc.integer({ min: 1, max: 16 }),
});

check(
  "GPTQ rounds to nearest where inputs are unrelated and alike",
  fc.property(
    matrixArb,
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 16 }),
    options,
    (kind, outputs, width, given) =>
      unrelatedLaw({ outputs, width, w: matrixData(kind, outputs, width) }, given),
  ),
  200,
);

check(
  "GPTQ gives the same codes whatever its blocks",
  fc.property(
    fc.nat(),
    fc.integer({ min: 2, max: 16 }),
    options,
    (seed, width, given) => blocksLaw(layerOf(seed, 3, width, 4 * width), given, given.block),
  ),
  100,
);

check(
  "GPTQ moves outputs no more than rounding to nearest, in any order of columns",
  fc.property(fc.nat(), fc.constantFrom(...BITS), (seed, bits) => {
    const [nearest, ...ways] = losses(
      layerOf(seed, 16, 32, 128),
      { bits, group: 16 },
      [{}, { actOrder: true }],
    );
    ok(ways.every((loss) => loss <= nearest), `${[nearest, ...ways]}`);
  }),
  60,
);

check(
  "SmoothQuant changes nothing before weights are rounded, whatever its strength",
  fc.property(
    fc.nat(),
    fc.integer({ min: 1, max: 24 }),
    fc.constantFrom(0, 0.25, 0.5, 0.85, 1),
    (
      seed,
      width,
      alpha,
    ) => foldedLaw(layerOf(seed, 5, width, 40), smoothquant({ bits: 8, alpha, codec: identity })),
  ),
  100,
);

check(
  "powers() are powers, to the eighth binary place of the exponent",
  fc.property(
    fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 9 }),
    fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 }),
    (x, exponents) => {
      const given = Float64Array.from(x);
      const { data } = evaluate(powers(input("x", [x.length], "f32"), exponents), {
        sizes: {},
        inputs: { x: given },
      });
      return data.every((y, i) => {
        const places = Math.round(exponents[Math.floor(i / x.length)] * 256);
        return Math.abs(y / given[i % x.length] ** (places / 256) - 1) < 1e-12;
      });
    },
  ),
);

check(
  "AWQ without clipping moves outputs no more than rounding to nearest",
  fc.property(fc.nat(), fc.constantFrom(...BITS), (seed, bits) => {
    const layer = layerOf(seed, 8, 24, 96);
    const [nearest, scaled] = [nearestGroups(bits, 16), awq({ bits, group: 16, clip: false })]
      .map((scheme) => lossOf(layer, scheme));
    ok(scaled <= nearest * (1 + 1e-9), `${scaled} for ${nearest}`);
  }),
  30,
);

Deno.test("AWQ loses what it is known to lose", () => {
  const layer = layerOf(1, 64, 128, 512);
  for (const [bits, lost] of [[4, 0.0039], [3, 0.0178]] as const) {
    const found = lossOf(layer, awq({ bits, group: 32 }));
    ok(Math.abs(found / lost - 1) < 0.25, `${bits} bits: ${found} for ${lost}`);
  }
});

/** What a simulation apart from this code found; ours are of other draws. */
const REFERENCE = [
  { bits: 4, lost: [0.006, 0.0032, 0.002] },
  { bits: 3, lost: [0.0287, 0.0161, 0.0103] },
  { bits: 2, lost: [0.165, 0.125, 0.076] },
] as const;

Deno.test("GPTQ loses what it is known to lose", () => {
  const layer = layerOf(1, 64, 128, 512);
  for (const { bits, lost } of REFERENCE) {
    const found = losses(layer, { bits, group: 32 }, [{ groups: "running" }, { actOrder: true }]);
    found.forEach((loss, i) =>
      ok(Math.abs(loss / lost[i] - 1) < 0.25, `${bits} bits: ${found} for ${lost}`)
    );
  }
});

onDevices(
  "GPTQ finds codes that move outputs less than rounding to nearest; the same where inputs are alike",
  { wasm: 10, webgpu: 2 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(fc.nat(), fc.boolean(), async (seed, actOrder) => {
        const [outputs, width, group] = [8, 40, 16];
        const layer = layerOf(seed, outputs, width, 160);
        const { w, h, env } = layerTerms(layer);
        const codec = quantizeGroups(3, group);
        const given = input("h", [width, width], "f32");
        const program = await programs(`${actOrder}`, () =>
          Object.fromEntries(
            Object.entries({
              found: gptq(w, given, { bits: 3, group, actOrder, block: 16 }),
              nearest: codec.encode(w),
            }).flatMap(([way, parts]) =>
              Object.entries(parts).map(([part, t]) => [`${way}.${part}`, t])
            ),
          ));
        const unit = Float64Array.from({ length: width ** 2 }, (_, k) => k % (width + 1) ? 0 : 2);
        const alike = await program.values({ w: layer.w, h: unit });
        for (const part of ["codes", "scale", "min"]) {
          deepEqual(alike[`found.${part}`], alike[`nearest.${part}`]);
        }
        const [gram] = evalAll([h], env);
        const made = await program.values({ w: layer.w, h: gram.data });
        const back = (way: string, part: string, t: Term): Term =>
          input(`${way}.${part}`, t.shape, t.dtype);
        const lost = ["found", "nearest"].map((way) => {
          const parts = Object.entries(codec.encode(w)).map(([p, t]) => [p, back(way, p, t)]);
          return outputLoss(w, codec.decode(Object.fromEntries(parts), w.shape), h);
        });
        const [mine, nearest] = evalAll(lost, { ...env, inputs: { ...env.inputs, ...made } });
        ok(mine.data[0] < nearest.data[0], `${mine.data} for ${nearest.data}`);
      }),
      runs,
    );
  },
);

Deno.test("quantizeGroups() stores what quantize() does where groups divide the width", () => {
  const w = input("w", [3, 32], "f32");
  const [own, other] = [quantizeGroups(4, 8), quantize({ bits: 4, per: 8, range: "asymmetric" })];
  const [a, b] = [own, other].map((c) => Object.entries(c.encode(w)));
  deepEqual(a.map(([k, t]) => [k, t.shape, t.dtype]), b.map(([k, t]) => [k, t.shape, t.dtype]));
});
