/** What encoders compile to: what is made once, and where scales go. */
import { deepEqual, ok } from "node:assert/strict";
import { decoquantB, input, turboquant } from "../mod.ts";
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
  const { plans } = lower(
    { ...decoquantB(4).encode(input("x", shape, "f32")) },
    SKELETONS,
    WASM_TARGET,
  );
  deepEqual(plans.map((p) => p.skeleton), [
    "reduce",
    "contract",
    "routine",
    "map",
    "map",
    "encode",
  ]);
  const [product] = plans[5].staged.filter((t) => t.tag === "contract");
  ok(product.args.some((a) => a.tag === "permute" || a.tag === "reshape"), "x itself is read");
});
