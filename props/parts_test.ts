/** Binds folds of few results over many tokens, which go part by part, to their meaning: any axes, one part to many. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { foldOver, input, map } from "../dsl/core/build.ts";
import type { Term } from "../dsl/core/term.ts";
import { normals } from "./arbitraries.ts";
import { hold } from "./check.ts";
import { onDevices, programsOn } from "./devices.ts";
import { excess } from "./laws/meaning.ts";

/** Folds in words. */
interface Few {
  readonly heads: number;
  readonly dim: number;
  readonly gone: readonly number[];
  readonly which: readonly ("sum" | "max")[];
  readonly numbers: number;
  readonly seed: number;
}

const termsOf = ({ heads, dim, gone, which }: Few): Record<string, Term> => {
  const x = input("x", [heads, "tokens", dim], "f32");
  return Object.fromEntries(which.map((m) => [m, foldOver(m, m, map("abs", x), [...gone])]));
};

const fewArb: fc.Arbitrary<Few> = fc.record({
  heads: fc.integer({ min: 1, max: 4 }),
  dim: fc.constantFrom(1, 3, 4, 8, 12, 64, 128),
  gone: fc.constantFrom([1], [0, 1], [1, 2], [0, 1, 2]),
  which: fc.constantFrom(["sum"], ["max"], ["sum", "max"]),
  numbers: fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 60_000, max: 300_000 })),
  seed: fc.nat(),
});

onDevices(
  "few results of many tokens are what they mean",
  { wasm: 40, webgpu: 8 },
  async (device, runs) => {
    const programs = programsOn(device);
    await hold(
      fc.asyncProperty(fewArb, async (few) => {
        const { heads, dim, gone, which, numbers, seed } = few;
        const tokens = Math.max(1, Math.floor(numbers / (heads * dim)));
        const next = normals(seed);
        const x = Float32Array.from({ length: heads * tokens * dim }, next);
        const outs = termsOf(few);
        const program = await programs(JSON.stringify([heads, dim, gone, which]), () => outs);
        const got = await program.values({ x });
        for (const name of which) {
          const over = excess(got[name], outs[name], program.outputs[name], {
            sizes: { tokens },
            inputs: { x },
          });
          ok(over <= 0, `${name}: ${over} beyond rounding`);
        }
        return true;
      }),
      runs,
    );
  },
);
