/** Binds attention over stored caches to its meaning on every device; schemes are in `contract/codecs.ts`. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { compile, SCHEDULE, type Schedule } from "../mod.ts";
import { print } from "../dsl/read/print.ts";
import { type Cached, cachedArb, cachedSample, type Form } from "./caches.ts";
import { hold } from "./check.ts";
import { onDevices } from "./devices.ts";
import { excess } from "./laws/meaning.ts";
import { scheduleArb } from "./schedules.ts";

const one: Form = { heads: 1, group: 1, rows: 1, tokens: "tokens", causal: false };
/** Found by the property below. */
const PINNED: readonly [Cached, Schedule][] = [
  // A query of integers is off by half a step, which was no part of the rounding.
  [{
    keys: "rtn(4)",
    values: "identity",
    form: { ...one, heads: 2, group: 2 },
    sizes: { rows: 1, tokens: 4 },
    past: 0,
    seed: 50,
  }, SCHEDULE],
  // Weights of integers are walked in eights, beyond the end of a chunk of four.
  [{
    keys: "identity",
    values: "quantize(8, per token, symmetric)",
    form: one,
    sizes: { rows: 1, tokens: 1 },
    past: 0,
    seed: 0,
  }, { ...SCHEDULE, fixed: true, chunk: 4 }],
  // Codes and zero points summed apart round where a code and its zero point cancel.
  [{
    keys: "quantize(8, per 8, asymmetric)",
    values: "quantize(4, per token, symmetric)",
    form: one,
    sizes: { rows: 1, tokens: 5 },
    past: 0,
    seed: 0,
  }, { ...SCHEDULE, fixed: false, chunk: 1 }],
];

onDevices(
  "attention over any two codecs, whatever the cache holds",
  { wasm: 100, webgpu: 8 },
  (device, runs) =>
    hold(
      fc.asyncProperty(cachedArb, scheduleArb, async (given, schedule) => {
        const { term, sizes, inputs } = cachedSample(given);
        const program = await compile({ out: term }, { device, schedule });
        const { out } = await program.values(inputs, sizes);
        const over = excess(out, term, program.outputs.out, { sizes, inputs });
        ok(over <= 0, `${over} beyond the rounding of\n${print(term)}`);
      }),
      runs,
      PINNED,
    ),
);
