/** What encoders compile to: what is made once, and where scales go. */
import { deepEqual, ok } from "node:assert/strict";
import { decoquantB, input, turboquant } from "../mod.ts";
import { emitWat } from "../compiler/emit/wat.ts";
import { lower } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { SKELETONS } from "./mod.ts";

const shape = [2, "tokens", 64] as const;

Deno.test("codes whose norm is kept are searched once, and held as bytes", () => {
  const { plans, steps } = lower(
    { ...turboquant(4, { keepNorm: true }).encode(input("x", shape, "f32")) },
    SKELETONS,
    WASM_TARGET,
  );
  deepEqual(plans.map((p) => p.staged.filter((t) => t.dtype === "u4").length), [1]);
  const held = steps[0].kernel.shared.filter((arr) => arr.elem === "u32");
  deepEqual(held.map((arr) => arr.length), [plans[0].tile * 64 / 4]);
});

Deno.test("scales of DecoQuant's columns meet the small matrix, and its magnitude leaves the codes", () => {
  const { plans, steps } = lower(
    { ...decoquantB(4).encode(input("x", shape, "f32")) },
    SKELETONS,
    WASM_TARGET,
  );
  deepEqual(plans.map((p) => p.skeleton), [
    "contract",
    "routine",
    "map",
    "map",
    "encode",
  ]);
  ok(
    plans[0].roots.some((t) => t.tag === "fold"),
    "the largest magnitude is found in the same walk",
  );
  const [product] = plans[4].staged.filter((t) => t.tag === "contract");
  ok(product.args.some((a) => a.tag === "permute" || a.tag === "reshape"), "x itself is read");
  // The largest of a row is found while products are in registers, whatever axes it has them in.
  const text = emitWat([steps[steps.length - 1].kernel], false);
  ok(/f32x4\.abs \(local\.get \$result\d+\)/.test(text), "of results");
  ok(!/f32x4\.abs \(v128\.load/.test(text), "not of what is held");
});
