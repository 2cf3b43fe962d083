/**
 * The meaning law on random terms: |compile(t)(x) − eval(t)(x)| ≤ rounding(t, x), for every device and schedule.
 * @module
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { compile, CompileError, type Device, evalAll, type Schedule, wasm } from "../mod.ts";
import { isRight } from "../fp.ts";
import { openWebgpu } from "../compiler/runtime/webgpu.ts";
import { F32, F64 } from "../dsl/read/machine.ts";
import { print } from "../dsl/read/print.ts";
import { rounding } from "../dsl/read/rounding.ts";
import { type Sample, termArb } from "./terms.ts";

/** Largest excess of the difference over its bound; no claim where the bound is infinite. */
const excess = async (
  { term, sizes, inputs }: Sample,
  device: Device,
  schedule: Partial<Schedule>,
): Promise<number> => {
  const env = { sizes, inputs };
  const program = await compile({ y: term }, { device, schedule });
  const { y } = await program.values(inputs, sizes);
  const [exact] = evalAll([term], env);
  // The program computes the rewritten term; both evaluations round in f64.
  const [ran] = rounding([program.outputs.y], env, F32);
  const [meant] = rounding([term], env, F64);
  let worst = -Infinity;
  y.forEach((v, i) => {
    const bound = ran.error[i] + meant.error[i];
    if (Number.isFinite(bound)) {
      worst = Math.max(worst, Number.isNaN(v) ? Infinity : Math.abs(v - exact.data[i]) - bound);
    }
  });
  return worst;
};

const schedules: fc.Arbitrary<Partial<Schedule>> = fc.record({
  chunk: fc.constantFrom(4, 64, 256),
  rows: fc.constantFrom(2, 8),
});

const holds = (device: Device, runs: number): Promise<void> =>
  fc.assert(
    fc.asyncProperty(termArb(), schedules, async (sample, schedule) => {
      try {
        ok(await excess(sample, device, schedule) <= 0, print(sample.term));
      } catch (error) {
        // Packed rows of a dynamic size and folds over several labels are refused by name.
        fc.pre(!(error instanceof CompileError));
        throw error;
      }
    }),
    { numRuns: runs },
  );

Deno.test("wasm computes what terms mean, within the derived rounding", () => holds(wasm(), 300));

Deno.test("webgpu computes what terms mean, within the derived rounding", async () => {
  const device = await openWebgpu({ software: true });
  if (!isRight(device)) {
    console.warn(`SKIPPED: ${device.left.message}`);
    ok(Deno.env.get("CI") !== "true", "in CI a missing adapter is a failure");
    return;
  }
  await holds(device.right, 100);
  device.right.close();
});
