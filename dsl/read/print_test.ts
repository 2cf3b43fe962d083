import { equal } from "node:assert/strict";
import {
  cast,
  constant,
  contract,
  foldOver,
  input,
  map,
  permute,
  softmaxFold,
} from "../core/build.ts";
import { print, printAll, printInline } from "./print.ts";

const k = input("k", ["h", "t", 64], "f32");
const q = input("q", ["h", 64], "f32");

Deno.test("print() writes one line a node and names inputs", () => {
  const scaled = map("mul", q, 0.125);
  const scores = contract("h t d, h d -> h t", k, scaled);
  equal(
    print(softmaxFold("h t, h t e -> h e", scores, k)),
    [
      'input k : f32 ["h","t",64]',
      'input q : f32 ["h",64]',
      '%1 = mul q 0.125 : f32 ["h",64]',
      '%2 = contract "a b c, a c -> a b" k %1 : f32 ["h","t"]',
      '%3 = fold softmax mean "a b, a b c -> a c" %2 k : f32 ["h",64]',
    ].join("\n"),
  );
});

Deno.test("print() writes a shared node once", () => {
  let x = map("add", input("x", ["n"], "f32"), 1);
  for (let i = 0; i < 60; i++) x = map("mul", x, x);
  equal(print(x).split("\n").length, 62);
});

Deno.test("print() does not depend on the ids of terms", () => {
  const build = (): string => print(map("exp", map("neg", input(`x`, [3], "f16"))));
  const before = build();
  input("another", [4], "f32");
  equal(build(), before);
});

Deno.test("print() keeps the shape of a constant that no neighbour tells", () => {
  equal(print(constant(2, ["t", 3])), '%1 = constant 2 : f32 ["t",3]');
  equal(
    print(foldOver("sum", "sum", constant(2, ["t", 3]), [0])).split("\n")[0],
    '%1 = constant 2 : f32 ["t",3]',
  );
});

Deno.test("printAll() shares lines and names its roots", () => {
  const a = map("abs", q);
  equal(printAll([a, permute(a, [1, 0])]).split("\n").at(-1), "=> %1 %2");
});

Deno.test("printInline() writes an expression on one line", () => {
  const s = map("mul", map("exp", map("sub", q, 1)), 0.5);
  equal(printInline(s), "exp(q - 1) * 0.5");
  equal(printInline(map("sub", q, map("sub", q, 1))), "q - (q - 1)");
  equal(printInline(cast(map("div", q, map("max", q, 2)), "u4")), "u4(q / max(q, 2))");
});
