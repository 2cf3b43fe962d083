/**
 * The contract of skeletons: each row of `SKELETONS` makes a term that wants it, whatever the schedule.
 * @module
 */
import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { SkeletonName } from "../../compiler/kernel.ts";
import { attend } from "../../dsl/attention/attend.ts";
import { cached } from "../../dsl/codec/codec.ts";
import { contract, foldOver, input, map } from "../../dsl/core/build.ts";
import { routine } from "../../dsl/core/routines.ts";
import { quantize } from "../../dsl/quantize/affine.ts";
import { SKELETONS } from "../../kernels/mod.ts";
import { compile, type Device, F32, type Outputs, type Schedule } from "../../mod.ts";
import { valuesFor } from "../caches.ts";
import { hold } from "../check.ts";
import { excess } from "../laws/meaning.ts";
import { svdBroken } from "../laws/routines.ts";
import { CHOICES, scheduleArb } from "../schedules.ts";
import { type Clause, clauses, KERNEL_DEVICES } from "./clause.ts";

const codec = quantize({ bits: 4, per: "token", range: "symmetric" });
const x = input("x", ["tokens", 24], "f32");
const tall = input("a", [9, 5], "f32");

/** A program that wants each skeleton; a new one does not compile until its program stands here. */
export const SAMPLES: Readonly<Record<SkeletonName, Outputs>> = {
  map: { y: map("exp", map("sub", x, 1)) },
  reduce: { y: foldOver("extent", "hi", x, [0]) },
  contract: { y: contract("a t, t c -> a c", input("w", [20, "tokens"], "f32"), x) },
  stream: {
    y: attend({
      q: input("q", [2, 3, 2, 16], "f32"),
      k: cached(codec, "k", [2, "tokens", 16]),
      v: cached(codec, "v", [2, "tokens", 16]),
    }),
  },
  encode: codec.encode(x),
  routine: Object.fromEntries(["u", "s", "v"].map((r) => [r, routine("svd", r, tall)])),
};

type Values = Readonly<Record<string, Float64Array>>;

/** What is off in what a device made: routines by their invariants, all else by rounding. */
const broken = (
  outputs: Outputs,
  rewritten: Outputs,
  values: Values,
  env: { sizes: { tokens: number }; inputs: Record<string, number[]> },
): string[] => {
  if (outputs === SAMPLES.routine) {
    const { u, s, v } = values;
    const data = Float64Array.from(env.inputs.a);
    return svdBroken({ rows: 9, cols: 5, data }, { u, s, v }, F32);
  }
  return Object.entries(outputs)
    .filter(([name, term]) => !(excess(values[name], term, rewritten[name], env) <= 0))
    .map(([name]) => `${name} is beyond its rounding`);
};

/** Runs a skeleton's program for some numbers of tokens. */
const runs = async (
  device: Device,
  name: string,
  schedule: Partial<Schedule>,
  lengths: readonly number[],
): Promise<void> => {
  const outputs = SAMPLES[name as SkeletonName];
  const program = await compile(outputs, { device, schedule });
  const used = program.structure.kernels.map((k) => k.skeleton as string);
  ok(used.includes(name), `made by ${used.join(", ")}`);
  for (const tokens of lengths) {
    const inputs: Record<string, number[]> = Object.assign(
      {},
      ...Object.values(outputs).map((t) => valuesFor(t, { tokens }, 7 + tokens)),
    );
    const env = { sizes: { tokens }, inputs };
    const values = await program.values(inputs, env.sizes);
    const what = `${JSON.stringify(schedule)}, ${tokens} tokens`;
    deepEqual(broken(outputs, program.outputs, values, env), [], what);
  }
};

/** Every choice of every number of a schedule, one at a time. */
const choices: readonly Partial<Schedule>[] = Object.entries(CHOICES).flatMap(([field, values]) =>
  values.map((value): Partial<Schedule> => ({ [field]: value }))
);

/** Every law of skeletons on every skeleton. */
export const skeletonClauses: readonly Clause[] = clauses({
  kind: "skeleton",
  things: SKELETONS,
  deviceLaws: [
    {
      says: "it makes a program that wants it, within rounding, whatever the schedule",
      devices: ["wasm"],
      holdsOn: async (device, _, name) => {
        for (const schedule of choices) await runs(device, name, schedule, [1, 37, 130]);
      },
    },
    {
      says: "it makes a program that wants it, within rounding, under any one schedule",
      devices: KERNEL_DEVICES.filter((d) => d !== "wasm"),
      holdsOn: (device, _, name) =>
        hold(
          fc.asyncProperty(scheduleArb, (schedule) => runs(device, name, schedule, [1, 37])),
          4,
          [],
          name,
        ),
    },
  ],
});
