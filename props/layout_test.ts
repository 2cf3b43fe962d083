/** Binds the laws of memory. */
import fc from "fast-check";
import { ok } from "node:assert/strict";
import { DTYPES } from "../dsl/core/dtype.ts";
import { rows } from "./arbitraries.ts";
import { check } from "./check.ts";
import { f16BitsLaw, f16RoundLaw, packLaw } from "./laws/layout.ts";

for (const dtype of ["u2", "u4", "u8"] as const) {
  check(
    `${dtype} packs and unpacks`,
    fc.property(rows(DTYPES[dtype].max), ({ row, codes }) => packLaw(dtype, row, codes)),
  );
}

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
