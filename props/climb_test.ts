import { ok } from "node:assert/strict";
import fc from "fast-check";
import { attend } from "../dsl/attention/attend.ts";
import type { Codec } from "../dsl/codec/codec.ts";
import { input } from "../dsl/core/build.ts";
import { BITS } from "../dsl/core/dtype.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { codebook } from "../dsl/quantize/codebook.ts";
import { lloydMax } from "../dsl/quantize/levels.ts";
import { decoquantB } from "../dsl/schemes/decoquant.ts";
import { rtn, rtnGrouped } from "../dsl/schemes/rtn.ts";
import { samples, tensorOf } from "./arbitraries.ts";
import { check, hold } from "./check.ts";
import { climb, codecGoal, programGoal } from "./climb.ts";
import { LOSSLESS, LOSSLESS_16, lossy, lossy16, QR, rangesOf, SYMMETRIC } from "./codecs.ts";
import { rounding } from "./laws/codec.ts";

const never = (name: string, codecs: readonly Codec[], starts: number, evaluations: number): void =>
  Deno.test(`${name}: climbing does not pass the bound`, async () => {
    for (const codec of codecs) {
      await hold(
        fc.property(samples([16], 2, 4), fc.nat(), (sample, seed) => {
          const { data, shape } = tensorOf(sample);
          const goal = codecGoal(codec, shape, rounding(Math.max(...shape) * shape[0], 3));
          const { ratio } = climb(goal, { start: data, seed, evaluations });
          ok(ratio <= 1, `${codec.name}: ${ratio} of the bound`);
        }),
        starts,
      );
    }
  });
never("lossy codecs", [...BITS.flatMap(lossy), ...BITS.flatMap(lossy16)], 3, 30);
never("decompositions", [...LOSSLESS, ...LOSSLESS_16, ...QR], 2, 10);

check(
  "a quantizer's bound is nearly attained",
  fc.property(
    fc.constantFrom(...BITS.flatMap((bits) => rangesOf(bits).map((range) => ({ bits, range })))),
    fc.constantFrom("token" as const, "channel" as const, "tensor" as const, 8),
    fc.nat(),
    ({ bits, range }, per, seed) => {
      const { data, shape } = tensorOf({ kind: "normal", seed, heads: 1, tokens: 4, channels: 16 });
      const goal = codecGoal(quantize({ bits, per, range }), shape, rounding(16));
      const { ratio } = climb(goal, { start: data, seed, evaluations: 300 });
      ok(ratio >= 0.95, `${ratio} of the bound`);
    },
  ),
  24,
);

check(
  "a codebook's bound is nearly attained",
  fc.property(
    fc.constantFrom(1 as const, 2 as const, 3 as const, 4 as const),
    fc.constantFrom("norm" as const, "absmax" as const, "none" as const),
    fc.nat(),
    (bits, scale, seed) => {
      const { data, shape } = tensorOf({ kind: "normal", seed, heads: 1, tokens: 4, channels: 16 });
      const codec = codebook({ levels: lloydMax(bits), per: "token", scale });
      const { ratio } = climb(codecGoal(codec, shape, rounding(16)), {
        start: data,
        seed,
        evaluations: 300,
      });
      ok(ratio >= 0.9, `${ratio} of the bound`);
    },
  ),
  24,
);

check(
  "attention: climbing the keys or the values does not pass the bound",
  fc.property(
    fc.constantFrom(
      ...BITS.map((b) => rtnGrouped(b, 8)),
      ...SYMMETRIC.flatMap((b) => [rtn(b), decoquantB(b, 4)]),
    ),
    fc.constantFrom("k", "v"),
    fc.integer({ min: 1, max: 6 }),
    fc.nat(),
    (codec, name, tokens, seed) => {
      const { data, shape } = tensorOf({ kind: "normal", seed, heads: 1, tokens, channels: 8 });
      const seen = (of: string) => codec.decode(codec.encode(input(of, shape, "f32")), shape);
      const term = attend({ q: input("q", [1, 1, 1, 8], "f32"), k: seen("k"), v: seen("v") });
      const inputs = { q: data.slice(0, 8), k: data, v: data.toReversed() };
      const goal = programGoal(term, { sizes: {}, inputs }, name);
      const { ratio } = climb(goal, { start: inputs[name as "k" | "v"], seed, evaluations: 60 });
      ok(ratio <= 1, `${ratio} of the bound`);
    },
  ),
  20,
);
