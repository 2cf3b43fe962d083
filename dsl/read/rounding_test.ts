import { equal, ok } from "node:assert/strict";
import {
  cast,
  constant,
  contract,
  foldOver,
  gather,
  gram,
  input,
  map,
  softmaxFold,
} from "../core/build.ts";
import { routine } from "../core/routines.ts";
import { MASKED } from "../core/monoid.ts";
import type { Term } from "../core/term.ts";
import { F32, F64, type Machine } from "./machine.ts";
import { rounding } from "./rounding.ts";

const { fround } = Math;

/** Numbers that are exact in f32, the same at every run. */
const numbers = (n: number, seed = 1): number[] => {
  let state = seed;
  return Array.from({ length: n }, () => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return fround(state / 2 ** 31 - 1);
  });
};

const errorsOf = (term: Term, inputs: Record<string, number[]>, machine: Machine = F32): number[] =>
  Array.from(rounding([term], { sizes: {}, inputs }, machine)[0].error);

Deno.test("rounding() of a dot product holds and is not silly", () => {
  const n = 1000;
  const term = contract("n, n -> ", input("a", [n], "f32"), input("b", [n], "f32"));
  let [worst, bound] = [0, 0];
  for (let seed = 1; seed <= 20; seed++) {
    const [a, b] = [numbers(n, seed), numbers(n, seed + 100)];
    const [{ value, error }] = rounding([term], { sizes: {}, inputs: { a, b } }, F32);
    const f32 = a.reduce((t, x, i) => fround(t + fround(x * b[i])), 0);
    const off = Math.abs(f32 - value.data[0]);
    ok(off <= error[0]);
    worst = Math.max(worst, off);
    bound = Math.max(bound, error[0]);
  }
  ok(bound < 1e4 * worst, `${bound} for ${worst}`);
});

Deno.test("rounding() in f64 is far below f32", () => {
  const term = map("exp", map("mul", input("a", [4], "f32"), 0.1));
  errorsOf(term, { a: numbers(4) }, F64).forEach((e) => ok(e < 1e-14));
});

Deno.test("moves and exact operators add nothing", () => {
  const x = input("x", [3], "f32");
  const term = map("select", map("less", x, 0), map("neg", x), map("max", x, 0.5));
  equal(Math.max(...errorsOf(term, { x: [1, -2, 0] })), 0);
  equal(Math.max(...errorsOf(foldOver("max", "max", x, [0]), { x: [1, -2, 0] })), 0);
});

Deno.test("a denormal may be flushed", () => {
  const x = input("x", [1], "f32");
  ok(errorsOf(x, { x: [fround(1e-40)] })[0] >= fround(1e-40));
  ok(errorsOf(map("mul", x, 1e30), { x: [fround(1e-40)] })[0] >= 1e-10);
});

Deno.test("rint jumps only where the interval holds a tie", () => {
  const code = map("rint", map("div", input("x", [2], "f32"), 3));
  equal(errorsOf(code, { x: [4.5, 5] }).join(), "1,0");
  const packed = cast(map("div", input("x", [3], "f32"), 3), "u2");
  equal(errorsOf(packed, { x: [4.5, 5, 3000] }).join(), "1,0,0");
});

Deno.test("an ambiguous select takes the other branch into account", () => {
  const x = map("div", input("x", [1], "f32"), 3);
  const term = map("select", map("less", x, 1 / 3), 10, -10);
  equal(errorsOf(term, { x: [1] })[0], 20);
  equal(errorsOf(term, { x: [2] })[0], 0);
});

Deno.test("no claim where a denominator may be 0, a root negative, or f32 overflows", () => {
  const x = map("sub", map("mul", input("x", [1], "f32"), 0.1), 0.1);
  equal(errorsOf(map("div", 1, map("mul", x, 1)), { x: [1] })[0], Infinity);
  equal(errorsOf(map("sqrt", x), { x: [1] })[0], Infinity);
  equal(errorsOf(map("mul", input("x", [1], "f32"), 1e30), { x: [1e30] })[0], Infinity);
  equal(errorsOf(map("div", 1, input("x", [1], "f32")), { x: [0] })[0], 0);
  equal(errorsOf(routine("qr", "r", input("x", [1, 1], "f32")), { x: [1] })[0], Infinity);
});

Deno.test("a root of a sum of squares is bounded at 0", () => {
  const x = map("sub", map("mul", input("x", [2], "f32"), 0.1), fround(0.1));
  const norm = map("sqrt", foldOver("sum", "sum", map("mul", x, x), [0]));
  ok(errorsOf(norm, { x: [1, 1] })[0] < 1e-6);
});

Deno.test("gram and gather carry errors along", () => {
  const x = map("mul", input("x", [3, 2], "f32"), 0.1);
  errorsOf(gram(x, [0]), { x: numbers(6) }).forEach((e) => ok(e > 0 && e < 1e-6));
  const rows = errorsOf(gather(x, input("i", [2], "u8")), { x: numbers(6), i: [2, 2] });
  equal(rows[0], rows[2]);
});

Deno.test("masked tokens weigh nothing, a masked row is exact", () => {
  const [s, v] = [input("s", [2, 4], "f32"), input("v", [4, 3], "f32")];
  const scores = map("select", input("keep", [2, 4], "u2"), s, constant(MASKED, [2, 4]));
  const inputs = { s: numbers(8), v: numbers(12), keep: [1, 0, 1, 0, 0, 0, 0, 0] };
  const errors = errorsOf(softmaxFold("r t, t c -> r c", scores, v), inputs);
  errors.slice(0, 3).forEach((e) => ok(e > 0 && e < 1e-4));
  equal(errors.slice(3).join(), "0,0,0");
});

Deno.test("far scores do not spoil the bound of a softmax", () => {
  const [s, v] = [input("s", [3], "f32"), input("v", [3], "f32")];
  ok(errorsOf(softmaxFold("t, t -> ", s, v), { s: [-1e30, 3, 1], v: [1, 2, 3] })[0] < 1e-4);
});
