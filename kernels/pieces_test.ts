/**
 * What attention over tokens in pieces compiles to: one stream with a loop for each piece, and one merge.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  attend,
  cached,
  type Codec,
  decoquantB,
  input,
  kivi,
  quantize,
  quarot,
  rtnGrouped,
  turboquant,
  window,
} from "../mod.ts";
import { lower } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { WEBGPU_TARGET } from "../compiler/runtime/webgpu.ts";
import { type Term, type TermOf, topological } from "../dsl/core/term.ts";
import { SKELETONS } from "./mod.ts";

type Fold = Term & TermOf<"fold">;

const shape = [2, "tokens", 64] as const;

const attention = (k: Codec, v: Codec = k, rows: number | string = 1): ReturnType<typeof attend> =>
  attend({
    q: input("q", [2, 2, rows, 64], "f32"),
    k: cached(k, "k", shape),
    v: cached(v, "v", shape),
  });

Deno.test("attention over windows is one stream and its merge: no piece of the tokens asks for another", () => {
  const packed = rtnGrouped(4);
  const cases: readonly [Codec, number][] = [
    [window({ tail: 32 }, packed), 2],
    [window({ sinks: 4, tail: 32, group: 8 }, packed), 3],
    [window({ sinks: 4, tail: 8 }, window({ tail: 32 }, decoquantB(4))), 4],
    [window({ group: 96 }, quantize({ bits: 2, per: { tokens: 32 }, range: "asymmetric" })), 2],
  ];
  for (const [codec, count] of cases) {
    for (const target of [WASM_TARGET, WEBGPU_TARGET]) {
      for (const rows of [1, "n"]) {
        const { plans, steps } = lower({ out: attention(codec, codec, rows) }, SKELETONS, target);
        deepEqual(steps.map((s) => s.kernel.skeleton), ["stream", "encode"]);
        // What one piece leaves of group memory the next one takes.
        const floats = steps[0].kernel.shared.reduce((n, a) => n + a.length, 0);
        ok(floats <= target.groupFloats, `${codec.name}: ${floats} of ${target.groupFloats}`);
        const pieces = plans[0].pieces ?? [];
        equal(pieces.length, count, codec.name);
        deepEqual(
          topological(pieces.flatMap((p) => p.roots)).filter((t) => t.tag === "concat"),
          [],
        );
      }
    }
  }
  // The packed piece alone multiplies integers.
  const { plans } = lower({ out: attention(cases[1][0]) }, SKELETONS, WASM_TARGET);
  deepEqual(plans[0].pieces!.map((p) => (p.roots[0] as Fold).weights), [undefined, 16, undefined]);
});

Deno.test("a window in keys alone, and one in values alone, cut both", () => {
  const codec = window({ sinks: 4, tail: 32 }, rtnGrouped(4));
  for (const [k, v] of [[codec, rtnGrouped(4)], [rtnGrouped(4), codec]]) {
    const { plans } = lower({ out: attention(k, v) }, SKELETONS, WASM_TARGET);
    deepEqual(plans.map((p) => [p.skeleton, p.pieces?.length]), [["stream", 3], [
      "encode",
      undefined,
    ]]);
  }
});

Deno.test("groups of channels weigh once a group in every piece: the values of KIVI are integers", () => {
  const { k, v } = kivi(4);
  const { plans } = lower({ out: attention(k, v) }, SKELETONS, WASM_TARGET);
  deepEqual(plans[0].pieces!.map((p) => (p.roots[0] as Fold).weights), [16, undefined]);
  deepEqual(plans[0].roots.map((t) => t.shape), [[2, 2, 1, 2, 32]]);
});

Deno.test("a factor of one piece of the tokens leaves the fold, and its codes keep their integer products", () => {
  for (const packed of [decoquantB(4), turboquant(2), quarot(4)]) {
    const codec = window({ sinks: 4, tail: 32 }, packed);
    const { plans, steps } = lower({ out: attention(codec) }, SKELETONS, WASM_TARGET);
    deepEqual(steps.map((s) => s.kernel.skeleton), ["stream", "encode"], codec.name);
    // In halves, and the packed ones: each is 0 where the other is not.
    deepEqual(
      plans[0].pieces!.map((p) => p.roots.map((t) => (t as Fold).weights)),
      [[undefined, undefined], [undefined, 16], [undefined, undefined]],
      codec.name,
    );
    // No value is a product with the factor: tokens are met as they are stored.
    const values = plans[0].pieces!.flatMap((p) => p.roots.map((t) => (t as Fold).args[1]));
    deepEqual(topological(values).filter((t) => t.tag === "contract"), [], codec.name);
  }
});
