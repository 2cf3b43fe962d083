import { equal } from "node:assert/strict";
import { bin, type Expr, freshExprs, int, variable } from "./expr.ts";

/** The value of an index at x. */
const valueAt = (e: Expr, x: number): number => {
  if (e.op === "const") return e.value;
  if (e.op === "var") return x;
  const [a, b] = e.args.map((arg) => valueAt(arg, x));
  if (e.op === "add") return a + b;
  if (e.op === "mul") return a * b;
  if (e.op === "div") return Math.floor(a / b);
  if (e.op === "rem") return a % b;
  throw new Error(`${e.op} is no index`);
};

Deno.test("a quotient or a rest of what is known to be a multiple is that of its value", () => {
  freshExprs();
  for (const step of [1, 2, 3, 4, 6, 8]) {
    for (let k = 0; k < 12; k++) {
      for (const n of [1, 2, 3, 4, 6, 8, 32]) {
        const x = variable(`x${step}`, "i32", { lo: 0, factor: step });
        const sum = bin("add", x, int(k));
        const [quotient, rest] = [bin("div", sum, int(n)), bin("rem", sum, int(n))];
        for (let at = 0; at < 100; at += step) {
          equal(valueAt(quotient, at), Math.floor((at + k) / n), `(${at} + ${k}) / ${n}`);
          equal(valueAt(rest, at), (at + k) % n, `(${at} + ${k}) % ${n}`);
        }
      }
    }
  }
});

Deno.test("four tokens of a step are of one group of 32", () => {
  freshExprs();
  const t = variable("t", "i32", { lo: 0, factor: 4 });
  const groups = [0, 1, 2, 3].map((k) => bin("div", bin("add", t, int(k)), int(32)));
  groups.forEach((g) => equal(g, groups[0]));
});
