/** What is nested deeper than a parser's stack goes is named on the way. */
import { deepEqual, rejects } from "node:assert/strict";
import { codebook, codecBound, compile, evaluate, input, map, type Term } from "../../mod.ts";

const x = input("x", ["n", 4], "f32");

Deno.test("expressions nest deeper than a parser does", async () => {
  const deep = Array.from({ length: 200 }, (_, i) => i % 7)
    .reduce<Term>((y, i) => map("sqrt", map("add", y, i)), x);
  const given = { x: Array.from({ length: 8 }, (_, i) => Math.fround(Math.sqrt(i))) };
  const { y } = await (await compile({ y: deep })).values(given);
  const want = evaluate(deep, { sizes: { n: 2 }, inputs: given }).data;
  deepEqual(Array.from(y, (v) => v.toFixed(5)), Array.from(want, (v) => v.toFixed(5)));
});

Deno.test("terms nested deeper than the stack are a CompileError", async () => {
  const endless = Array.from({ length: 20000 }).reduce<Term>((y) => map("neg", map("exp", y)), x);
  await rejects(compile({ y: endless }), { name: "CompileError", message: /nested deeper than/ });
});

Deno.test("a table of 256 entries has bounds that compile", async () => {
  const levels = Array.from({ length: 256 }, (_, i) => i - 128);
  const codec = codebook({ levels, per: "token", scale: "none" });
  const bound = codecBound(codec, x, codec.encode(x));
  const values = await (await compile({ bound })).values({ x: [0.25, -3.5, 1, 127] });
  deepEqual([...values.bound].map((b) => b.toFixed(3)), ["0.500", "0.500", "0.500", "0.500"]);
});
