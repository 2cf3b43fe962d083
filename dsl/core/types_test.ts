import { throws } from "node:assert/strict";
import { contract, input } from "./build.ts";
import type { Term } from "./term.ts";
import { equal } from "node:assert/strict";

const k = input("k", ["h", "t", 64], "f32");
const q = input("q", ["h", 64], "f32");
const wide = input("q", ["h", 128], "f32");

Deno.test("contract() gives its result a shape in the type system", () => {
  const s: Term<readonly ["h", "t"], "f32"> = contract("h t d, h d -> h t", k, q);
  equal(s.shape.join(), "h,t");
});

Deno.test("contract() with wrong dims, ranks or labels does not compile", () => {
  // @ts-expect-error dim d is 64 in k and 128 in q
  throws(() => contract("h t d, h d -> h t", k, wide), {
    message: 'contract "h t d, h d -> h t": dim d is 64 in k ["h","t",64] and 128 in q ["h",128]',
  });
  // @ts-expect-error q has two axes, not three
  throws(() => contract("h t d, h g d -> h t", k, q), /has 2 axes, its labels "h g d" are 3/);
  // @ts-expect-error label z stands in no operand
  throws(() => contract("h t d, h d -> h z", k, q), /result label z stands in no operand/);
  // @ts-expect-error the result has two axes
  const wrong: Term<readonly ["h"], "f32"> = contract("h t d, h d -> h t", k, q);
  equal(wrong.shape.length, 2);
});

Deno.test("equal subterms are the same object", () => {
  equal(contract("h t d, h d -> h t", k, q), contract("a b c, a c -> a b", k, q));
});
