/** Binds the laws of f16; those of every element type are in `contract/dtypes.ts`. */
import fc from "fast-check";
import { ok } from "node:assert/strict";
import { check } from "./check.ts";
import { f16BitsLaw, f16RoundLaw } from "./laws/layout.ts";

Deno.test("every f16 is what the platform says", () => {
  for (let bits = 0; bits < 65536; bits++) ok(f16BitsLaw(bits), `bits ${bits}`);
});

/** Any sign, mantissa and exponent about the range of f16; ties are likely. */
const halves = fc.tuple(fc.integer({ min: -8192, max: 8192 }), fc.integer({ min: -40, max: 8 }))
  .map(([m, e]) => m * 2 ** e);

check(
  "rounding to f16 is the platform's",
  fc.property(
    fc.oneof(halves, fc.double({ noNaN: true, noDefaultInfinity: true })),
    f16RoundLaw,
  ),
  2000,
);
