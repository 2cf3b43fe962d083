/** Binds attention over stored caches to its meaning on every device; schemes are in `contract/codecs.ts`. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { compile, input, map, SCHEDULE, type Schedule, softmaxFold, type Term } from "../mod.ts";
import { boundOf } from "../dsl/bound/bound.ts";
import { print } from "../dsl/read/print.ts";
import { type Cached, cachedArb, cachedSample, type Form, valuesFor } from "./caches.ts";
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
  }, { ...SCHEDULE, fixed: 16, chunk: 4 }],
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

/** Found by the property of means below. */
const MEANS_PINNED: readonly [Cached, Schedule][] = [
  // A score that is asked for at index 0, to see how it lies, was taken for a read of the first head.
  [{
    keys: "quantize(4, per 64, signed)",
    values: "identity",
    form: { ...one, heads: 2, rows: 2, tokens: 1 },
    sizes: { rows: 6, tokens: 1 },
    past: 0,
    seed: 0,
  }, { ...SCHEDULE, fixed: false, chunk: 1 }],
];

/** Means over the scores of an attention: of the error of V, of the row and token, of the token alone. */
const means = (attended: Term): Record<string, Term> => {
  if (attended.tag !== "fold") throw new Error(`attention is a ${attended.tag}`);
  const [scores, v] = attended.args;
  const near = map("exp", map("neg", map("abs", map("max", scores, -20))));
  return {
    out: attended,
    e: softmaxFold("k g i t, k t e -> k g i e", scores, boundOf(v, { codes: true })),
    m: softmaxFold("k g i t, k g i t -> k g i", scores, near),
    t: softmaxFold("k g i t, t -> k g i", scores, input("w", [scores.shape[3]], "f32")),
  };
};

onDevices(
  "means over the scores of an attention, made with it",
  { wasm: 60, webgpu: 6 },
  (device, runs) =>
    hold(
      fc.asyncProperty(cachedArb, scheduleArb, async (given, schedule) => {
        const { term, sizes, inputs: own } = cachedSample(given);
        const terms = means(term);
        const program = await compile(terms, { device, schedule });
        const values = Object.values(terms).map((t) => valuesFor(t, sizes, given.seed));
        const inputs = { ...Object.assign({}, ...values), ...own };
        const results = await program.values(inputs, sizes);
        for (const [name, term] of Object.entries(terms)) {
          const over = excess(results[name], term, program.outputs[name], { sizes, inputs });
          ok(over <= 0, `${name} is ${over} beyond the rounding of\n${print(term)}`);
        }
      }),
      runs,
      MEANS_PINNED,
    ),
);
