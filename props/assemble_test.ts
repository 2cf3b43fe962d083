/** Binds the assembler to a general one: kernels of any term are the same bytes. */
import { deepEqual } from "node:assert/strict";
import fc from "fast-check";
import wabtFactory from "wabt";
import { assembleText } from "../compiler/emit/assemble.ts";
import { emitWat } from "../compiler/emit/wat.ts";
import { lower } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { type Codec, CompileError, input, type Outputs } from "../mod.ts";
import { CASES } from "./caches.ts";
import { hold } from "./check.ts";
import { termArb } from "./terms.ts";

const FEATURES = { simd: true, relaxed_simd: true, bulk_memory: true, threads: true };

const codecOutputs = (codec: Codec, channels: number): Outputs => {
  const x = input("x", [2, 32, channels], "f32");
  const parts = codec.encode(x);
  return { ...parts, again: codec.decode(parts, x.shape) };
};

const outputs: fc.Arbitrary<Outputs> = fc.oneof(
  termArb().map(({ term }) => ({ term })),
  fc.constantFrom(...Object.values(CASES)).map((c) => codecOutputs(c.codec, c.channels)),
);

Deno.test("assembleText() gives the bytes that wabt gives, for kernels of any term", async () => {
  const wabt = await wabtFactory();
  const assembled = (text: string): Uint8Array => {
    const parsed = wabt.parseWat("kernels.wat", text, FEATURES);
    try {
      return parsed.toBinary({}).buffer;
    } finally {
      parsed.destroy();
    }
  };
  const textOf = (terms: Outputs, shared: boolean): string => {
    try {
      const { steps } = lower(terms, SKELETONS, WASM_TARGET);
      return emitWat(steps.map((s) => s.kernel), shared);
    } catch (error) {
      fc.pre(!(error instanceof CompileError));
      throw error;
    }
  };
  await hold(
    fc.property(outputs, fc.boolean(), (terms, shared) => {
      const text = textOf(terms, shared);
      deepEqual(assembleText(text), assembled(text));
    }),
    200,
  );
});
