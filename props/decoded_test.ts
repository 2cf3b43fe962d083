/**
 * Keys whose basis meets no query: they are decoded a few tokens at a time, from any number of coordinates.
 */
import { match } from "node:assert/strict";
import {
  attend,
  cached,
  compile,
  hadamard,
  input,
  joinHeads,
  on,
  preRope,
  quantize,
  window,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import type { Linear } from "../dsl/decompose/linear.ts";
import type { Grades } from "../dsl/quantize/allot.ts";
import { grain } from "../dsl/schemes/grain.ts";
import { kvtc } from "../dsl/schemes/kvtc.ts";
import { agrees } from "./stored_attention.ts";

const ROPE = { base: 100, pairs: "halves" } as const;

/** The first coordinates of a reflection of so many channels. */
const basis = (channels: number, rank: number): Linear => {
  const v = Array.from({ length: channels }, (_, i) => Math.sin(i + 1));
  const norm = v.reduce((n, x) => n + x * x, 0);
  const all = v.map((x, i) => v.map((y, j) => Number(i === j) - 2 * x * y / norm));
  return {
    name: `${rank} of ${channels}`,
    to: [all.map((row) => row.slice(0, rank))],
    back: [all.slice(0, rank)],
  };
};

const before = (codec: ReturnType<typeof grain>) => pipe(preRope(ROPE), on("values", codec));

const GRADES: readonly Grades[] = [[48, 0, 0, 0], [8, 8, 8, 16]];

Deno.test("keys before RoPE in a basis mean the same, whatever the ranges of its coordinates", async () => {
  for (const grades of GRADES) {
    const of = basis(64, grades.reduce((a, b) => a + b));
    for (const codec of [grain(of, grades), kvtc(of, grades)]) {
      for (const [rows, tokens] of [[1, 1], [3, 71]]) {
        await agrees(before(codec), 64, rows, tokens, { schedule: {} });
      }
    }
  }
  // A block of queries, and tokens in pieces.
  const codec = before(grain(basis(64, 48), GRADES[0]));
  for (const tokens of [2, 71]) await agrees(codec, 64, 2, tokens, { schedule: {}, queries: 9 });
  await agrees(window({ tail: 8 }, codec), 64, 2, 43, { schedule: {} });
  // Values that all heads share make one group of them: keys of all heads are decoded in it.
  const values = joinHeads(grain(basis(128, 64), [32, 0, 32, 0]));
  for (const keys of [codec, before(values)]) {
    for (const tokens of [1, 71]) await agrees(keys, 64, 2, tokens, { schedule: {}, values });
  }
  const turned = pipe(hadamard(), on("values", quantize({ bits: 4, per: 64, range: "symmetric" })));
  for (const tokens of [1, 5]) await agrees(before(turned), 64, 2, tokens, { schedule: {} });
});

Deno.test("explain() says what is decoded once a token", async () => {
  const k = cached(before(grain(basis(64, 48), GRADES[0])), "k", [2, "tokens", 64]);
  const q = input("q", [2, 2, 1, 64], "f32");
  const program = await compile({ out: attend({ q, k, v: k }) });
  match(program.explain(), /of what is decoded once a token contract \[2,"tokens",64\]/);
});
