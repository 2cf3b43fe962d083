/** Binds that tokens may be coded in any split; the other laws of encoding are in `contract/codecs.ts`. */
import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import { type Codec, f16, identity, nf4Grouped, rtn, rtnGrouped, turboquant } from "../mod.ts";
import { samples, tensorOf } from "./arbitraries.ts";
import { hold } from "./check.ts";
import { BITS } from "../dsl/core/dtype.ts";
import { SYMMETRIC } from "./codecs.ts";
import { onDevices, programsOn } from "./devices.ts";
import * as L from "./laws/encode.ts";

/** Codecs that look at one token at a time. */
const STREAMING: readonly Codec[] = [
  identity,
  f16,
  ...SYMMETRIC.map(rtn),
  ...BITS.map((bits) => rtnGrouped(bits, 16)),
  turboquant(3, { keepNorm: true }),
  nf4Grouped(16),
];

onDevices(
  "encode: tokens coded in any split are the tokens coded at once",
  { wasm: 150, webgpu: 15 },
  (device, runs) => {
    const programs = programsOn(device);
    return hold(
      fc.asyncProperty(
        fc.nat({ max: STREAMING.length - 1 }),
        samples([16, 64], 2, 40),
        fc.array(fc.integer({ min: 1, max: 20 })),
        async (which, sample, cuts) => {
          const codec = STREAMING[which];
          const { data, shape: [heads, tokens, channels] } = tensorOf(sample);
          const shape = [heads, "tokens", channels];
          const program = await programs(
            JSON.stringify([which, shape]),
            () => L.encodingOf(codec, shape).parts,
          );
          const piece = async (from: number, to: number) => {
            const x = data.filter((_, i) => {
              const t = Math.floor(i / channels) % tokens;
              return t >= from && t < to;
            });
            return { tokens: to - from, parts: await program.values({ x }, { tokens: to - from }) };
          };
          const pieces = [];
          let at = 0;
          for (const length of [...cuts, tokens]) {
            const end = Math.min(tokens, at + length);
            if (end > at) pieces.push(await piece(at, end));
            at = end;
          }
          const whole = L.joinedParts(codec, shape, [await piece(0, tokens)]);
          deepEqual(L.joinedParts(codec, shape, pieces), whole);
        },
      ),
      runs,
    );
  },
);
