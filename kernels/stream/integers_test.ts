/** What integers multiply codes by. */
import { deepEqual, equal } from "node:assert/strict";
import { attend, BITS, cached, input, rtnGrouped, SCHEDULE } from "../../mod.ts";
import { emitWat } from "../../compiler/emit/wat.ts";
import { lower } from "../../compiler/pipeline.ts";
import { WASM_TARGET } from "../../compiler/runtime/wasm.ts";
import { SKELETONS } from "../mod.ts";

Deno.test("8-bit queries and weights are a choice, for codes of at most 4 bits", () => {
  const times = BITS.map((bits) => {
    const [k, v] = ["k", "v"].map((name) => cached(rtnGrouped(bits), name, [2, "tokens", 64]));
    const out = attend({ q: input("q", [2, 1, 1, 64], "f32"), k, v });
    const { steps } = lower({ out }, SKELETONS, WASM_TARGET, { ...SCHEDULE, fixed: 8 });
    const wat = emitWat(steps.map((s) => s.kernel));
    return ["i16x8.relaxed_dot_i8x16_i7x16_s", "i32x4.dot_i16x8_s"].map((op) =>
      wat.split(op).length - 1
    );
  });
  // Keys of four tokens, sixteen at a time; values of two tokens, eight channels at a time.
  const narrow = [2 * (4 * 64 / 16 + 4 * 64 / 16), 0];
  deepEqual(times.slice(0, 4), [narrow, narrow, narrow, narrow]);
  equal(times[4][0], 0);
});
