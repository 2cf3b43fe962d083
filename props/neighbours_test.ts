/**
 * Products of look-ups whose pairs lie side by side, as directions of polar coordinates do: read four at a time,
 * from rows of any number of pairs.
 * @module
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { type Bits, compile, input, map, softmaxFold } from "../mod.ts";
import { emitWat } from "../compiler/emit/wat.ts";
import { lower } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { broadcast, contract, gather, reshape, table } from "../dsl/core/build.ts";
import { packedOf } from "../dsl/core/dtype.ts";
import { slice } from "../dsl/core/pieces.ts";
import type { Term } from "../dsl/core/term.ts";
import { print } from "../dsl/read/print.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { valuesFor } from "./caches.ts";
import { hold } from "./check.ts";
import { onDevices } from "./devices.ts";
import { excess } from "./laws/meaning.ts";
import { scheduleArb } from "./schedules.ts";

/** Rows of codes in words: pairs, those of a part before them, bits, coordinates, and what is made of them. */
interface Rows {
  readonly pairs: number;
  readonly before: number;
  readonly bits: Bits;
  readonly side: number;
  readonly use: "values" | "scores" | "means";
  readonly spread: boolean;
  readonly tokens: number;
}

const rowsArb: fc.Arbitrary<Rows> = fc.record({
  pairs: fc.constantFrom(1, 2, 4, 6, 8, 12, 16, 32),
  before: fc.constantFrom(0, 4, 5),
  bits: fc.constantFrom<Bits>(1, 2, 3, 4),
  side: fc.constantFrom(1, 2, 3, 4),
  use: fc.constantFrom("values", "scores", "means"),
  spread: fc.boolean(),
  tokens: fc.integer({ min: 1, max: 21 }),
});

const termOf = ({ pairs, before, bits, side, use, spread }: Rows): Term => {
  const count = 2 ** bits;
  const points = Array.from({ length: count * side }, (_, i) => Math.fround(Math.sin(3 * i + 1)));
  const codes = input("c", ["t", before + pairs], packedOf(bits));
  const looked = gather(
    reshape(table(points), [count, side]),
    slice(codes, 1, before, before + pairs),
  );
  const channels = pairs * side;
  const own = reshape(looked, ["t", channels]);
  const radius = reshape(
    broadcast(input("r", ["t", pairs], "f16"), ["t", pairs, side], [0, 1]),
    ["t", channels],
  );
  const x = spread ? map("mul", own, radius) : own;
  const q = input("q", [2, channels], "f32");
  if (use === "values") return x;
  return use === "scores"
    ? contract("r c, t c -> r t", q, x as Term<["t", number]>)
    : softmaxFold("r t, t c -> r c", input("s", [2, "t"], "f32"), x as Term<["t", number]>);
};

onDevices(
  "products of look-ups of pairs, of any number and width",
  { wasm: 60, webgpu: 15 },
  (device, runs) =>
    hold(
      fc.asyncProperty(rowsArb, scheduleArb, fc.nat(), async (rows, schedule, seed) => {
        const term = termOf(rows);
        const sizes = { t: rows.tokens };
        const inputs = valuesFor(term, sizes, seed);
        const program = await compile({ y: term }, { device, schedule });
        const { y } = await program.values(inputs, sizes);
        ok(excess(y, term, program.outputs.y, { sizes, inputs }) <= 0, print(term));
      }),
      runs,
    ),
);

Deno.test("rows of pairs in fours are looked up in registers: no entry is chosen by itself", () => {
  for (const use of ["values", "scores", "means"] as const) {
    const term = termOf({ pairs: 16, before: 4, bits: 4, side: 2, use, spread: true, tokens: 1 });
    const { steps } = lower({ y: term }, SKELETONS, WASM_TARGET);
    const text = emitWat(steps.map((s) => s.kernel));
    ok(text.includes("relaxed_swizzle") && !/select \(f32\.const \S+ \(f32\.const/.test(text), use);
  }
});
