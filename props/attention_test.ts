/** Binds attention to the textbook. */
import fc from "fast-check";
import { throws } from "node:assert/strict";
import { attend } from "../dsl/attention/attend.ts";
import { input } from "../dsl/core/build.ts";
import { evaluate } from "../dsl/read/eval.ts";
import { normals } from "./arbitraries.ts";
import { check } from "./check.ts";
import { type Sizes, textbook } from "./laws/attention.ts";
import { U } from "./laws/codec.ts";
import { near } from "./laws/monoid.ts";

const small = fc.integer({ min: 1, max: 4 });
const sizes: fc.Arbitrary<Sizes> = fc.record({
  kv: small,
  group: small,
  rows: small,
  tokens: fc.integer({ min: 1, max: 9 }),
  d: fc.integer({ min: 1, max: 8 }),
  e: fc.integer({ min: 1, max: 8 }),
});
/** How the offset of the mask is given, if there is one. */
const forms = fc.constantFrom("none", "number", "size", "term");

check(
  "attend() is softmax(q kᵀ / √d) v for every group and mask",
  fc.property(sizes, fc.nat(), forms, fc.integer({ min: -3, max: 9 }), (z, seed, form, given) => {
    const next = normals(seed);
    const numbers = (n: number): Float64Array => Float64Array.from({ length: n }, next);
    const offset = form === "none" ? z.tokens : form === "size" ? Math.abs(given) : given;
    const q = input("q", [z.kv, z.group, z.rows, z.d], "f32");
    const k = input("k", [z.kv, "tokens", z.d], "f32");
    const v = input("v", [z.kv, "tokens", z.e], "f32");
    const masks = {
      none: {},
      number: { causal: { offset } },
      size: { causal: { offset: "past" } },
      term: { causal: { offset: input("past", [], "f32") } },
    };
    const values = {
      q: numbers(z.kv * z.group * z.rows * z.d),
      k: numbers(z.kv * z.tokens * z.d),
      v: numbers(z.kv * z.tokens * z.e),
    };
    const term = attend({ q, k, v, ...masks[form as keyof typeof masks] });
    const env = {
      sizes: { tokens: z.tokens, past: offset },
      inputs: { ...values, past: [offset] },
    };
    // Scores of normals are below 100; each is off by (d + 3) u of that, and so is each weight.
    return near(
      evaluate(term, env).data,
      textbook(z, values, offset),
      100 * (z.d + z.tokens + 9) * U,
    );
  }),
  300,
);

Deno.test("attend() names what disagrees", () => {
  const q = input("q", [2, 3, 1, 64], "f32");
  const k = input("k", [2, "t", 32], "f32");
  const v = input("v", [2, "u", 32], "f32");
  throws(() => attend({ q, k, v }), {
    name: "ShapeError",
    message: 'attend: axis 3 of q [2,3,1,64] is 64, axis 2 of k [2,"t",32] is 32',
  });
  throws(() => attend({ q: input("q", [2, 3, 1, 32], "f32"), k, v }), {
    message: 'attend: axis 1 of k [2,"t",32] is t, axis 1 of v [2,"u",32] is u',
  });
  throws(() => attend({ q: k, k, v }), /q is \[2,"t",32\], not \[kv, group, rows, d\]/);
});
