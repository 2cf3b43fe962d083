/**
 * A block of queries: which plans take one, which steps it skips, and that no mask made of positions
 * is skipped where something is seen.
 */
import { equal, ok } from "node:assert/strict";
import {
  attend,
  cached,
  compile,
  constant,
  contract,
  evaluate,
  input,
  iota,
  map,
  MASKED,
  rtnGrouped,
  SCHEDULE,
  softmaxFold,
  type Term,
} from "../../mod.ts";
import { lower } from "../../compiler/pipeline.ts";
import { emitWat } from "../../compiler/emit/wat.ts";
import { WASM_TARGET } from "../../compiler/runtime/wasm.ts";
import { SKELETONS } from "../mod.ts";

const shape = [2, "tokens", 64] as const;
const attention = (rows: number | string, group: number, causal: boolean): Term =>
  attend({
    q: input("q", [2, group, rows, 64], "f32"),
    k: cached(rtnGrouped(4), "k", shape),
    v: cached(rtnGrouped(4), "v", shape),
    ...causal && { causal: { offset: "past" } },
  });

const blockOf = (out: Term, queries = SCHEDULE.queries): string => {
  const { plans } = lower({ out }, SKELETONS, WASM_TARGET, { ...SCHEDULE, queries });
  const { block } = plans.find((p) => p.skeleton === "stream")!;
  return block === undefined ? "none" : `${block.queries} × ${block.tokens}`;
};

Deno.test("rows that are many share what is decoded, whichever axis they are", () => {
  equal(blockOf(attention("rows", 1, true)), "32 × 64");
  equal(blockOf(attention("rows", 4, true)), "8 × 64");
  equal(blockOf(attention(1, 32, false)), "32 × 64");
  equal(blockOf(attention(12, 1, false)), "16 × 88");
  equal(blockOf(attention(1, 4, false)), "none");
  equal(blockOf(attention("rows", 1, true), 1), "none");
});

Deno.test("a known number of tokens is one stream as an unknown one is, however large its scores are", () => {
  const known = [2, 512, 64] as const;
  for (const rows of [1, 12]) {
    const out = attend({
      q: input("q", [2, 4, rows, 64], "f32"),
      k: cached(rtnGrouped(4), "k", known),
      v: cached(rtnGrouped(4), "v", known),
    });
    const { plans } = lower({ out }, SKELETONS, WASM_TARGET);
    equal(plans.map((p) => p.skeleton).join(), "stream,encode");
  }
});

Deno.test("a prompt of a cache without a mask skips nothing, of a masked one what is masked", () => {
  const skips = (causal: boolean): boolean => {
    const { steps } = lower({ out: attention("rows", 1, causal) }, SKELETONS, WASM_TARGET);
    return emitWat(steps.map((s) => s.kernel)).includes("$some");
  };
  equal(skips(false), false);
  equal(skips(true), true);
});

/** Scores of 40 rows on 200 tokens under a mask of row and token. */
const masked = (mask: (row: Term, token: Term, scores: Term) => Term): Term => {
  const scores = contract(
    "i d, t d -> i t",
    input("q", ["n", 16], "f32"),
    input("k", ["t", 16], "f32"),
  );
  const scored = mask(iota(scores.shape, 0), iota(scores.shape, 1), scores);
  return softmaxFold("i t, t e -> i e", scored, input("v", ["t", 8], "f32"));
};

const MASKS: Record<string, (row: Term, token: Term, scores: Term) => Term> = {
  "a window": (row, token, s) =>
    map(
      "select",
      map("less", token, map("add", row, 101)),
      map("select", map("less", map("add", row, 60), token), s, MASKED),
      MASKED,
    ),
  "a window as one condition": (row, token, s) =>
    map(
      "select",
      map(
        "mul",
        map("less", token, map("add", row, 101)),
        map("less", map("sub", row, token), constant(-60, s.shape)),
      ),
      s,
      MASKED,
    ),
  "what a window hides": (row, token, s) =>
    map("select", map("less", map("neg", token), map("sub", -70, row)), s, MASKED),
  "nothing": (row, token, s) => map("select", map("less", token, map("min", row, -1)), s, MASKED),
};

for (const [name, mask] of Object.entries(MASKS)) {
  Deno.test(`a mask made of positions is what it means where steps are skipped: ${name}`, async () => {
    const out = masked(mask);
    const sizes = { n: 40, t: 200 };
    const numbers = (count: number, by: number): number[] =>
      Array.from({ length: count }, (_, i) => Math.sin(i * by));
    const inputs = { q: numbers(640, 0.7), k: numbers(3200, 0.3), v: numbers(1600, 1.1) };
    const want = evaluate(out, { sizes, inputs }).data;
    const program = await compile({ out }, { schedule: { queries: 8, chunk: 12 } });
    const got = (await program.values(inputs, sizes)).out;
    want.forEach((x, i) => ok(Math.abs(got[i] - x) < 1e-5, `${i}: ${got[i]}, not ${x}`));
  });
}
