/** Climbs towards every bound, a little; `deno task fuzz climb` does it at length. */
import { ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { boundOf } from "../dsl/bound/bound.ts";
import { ValueError } from "../dsl/core/errors.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { codebook } from "../dsl/quantize/codebook.ts";
import { lloydMax } from "../dsl/quantize/levels.ts";
import { tensorOf } from "./arbitraries.ts";
import { check, seedNow } from "./check.ts";
import { climb, codecGoal } from "./climb.ts";
import { attentionOver, CLIMBS, UNBOUNDED } from "./climbs.ts";
import { BITS } from "../dsl/core/dtype.ts";
import { rangesOf, SCHEME_CASES } from "./codecs.ts";
import { rounding } from "./laws/codec.ts";

const EVALUATIONS = 200;
console.log(`climbing with KVFOLD_SEED=${seedNow()}`);

for (const [name, search] of Object.entries(CLIMBS)) {
  Deno.test(`climbing does not pass the bound: ${name}`, () => {
    const seed = seedNow(name);
    const { ratio, text } = search({ seed, evaluations: EVALUATIONS });
    ok(ratio <= 1, `${ratio} of the bound, from ${text}; KVFOLD_SEED=${seedNow()}`);
  });
}

Deno.test("attention to what is not stored yet has a bound, but where factors are made of what codes leave", () => {
  for (const [name, given] of Object.entries(SCHEME_CASES)) {
    const bound = () => boundOf(attentionOver(given));
    if (UNBOUNDED.has(name)) throws(bound, ValueError, name);
    else bound();
  }
});

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
