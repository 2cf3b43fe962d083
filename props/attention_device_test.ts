/** Binds attention over stored caches to its meaning, on every device and for any length. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import {
  type Bits,
  compile,
  FORMATS,
  input,
  map,
  type Schedule,
  type SchemeName,
  SCHEMES,
  softmaxFold,
  type Tensor,
  type Term,
  WIDTHS,
} from "../mod.ts";
import { boundOf } from "../dsl/bound/bound.ts";
import { print } from "../dsl/read/print.ts";
import { type Sample, tensorOf } from "./arbitraries.ts";
import { attention, type Case, CASES, type Form, keyOf, valuesFor } from "./caches.ts";
import { hold, seedNow } from "./check.ts";
import { onDevices, type Programs, programsOn } from "./devices.ts";
import { excess } from "./laws/meaning.ts";

/** One token, a few, the ends of a chunk, and several chunks. */
const LENGTHS = [1, 3, 255, 256, 257, 700];
const HEADS = 2;
const ROWS = 2;

/** What one run sees. */
interface Run {
  readonly tokens: number;
  readonly kind: Sample["kind"];
  readonly seed: number;
  /** Row i sees the tokens up to i + past, if causal. */
  readonly past: number;
}

/** Parts of K and V as the device encodes and keeps them. */
const cacheOn = async (
  programs: Programs,
  name: string,
  { codec, channels }: Case,
  { tokens, kind, seed }: Run,
): Promise<Record<string, Tensor>> => {
  const shape = [HEADS, "tokens", channels];
  const program = await programs(`${name} encode`, () => codec.encode(input("x", shape, "f32")));
  const cache: Record<string, Tensor> = {};
  for (const [i, tensor] of ["k", "v"].entries()) {
    const { data } = tensorOf({ kind, seed: seed + i, heads: HEADS, tokens, channels });
    for (const [part, value] of Object.entries(await program.run({ x: data }, { tokens }))) {
      cache[`${tensor}.${part}`] = value;
    }
  }
  return cache;
};

/** Attends to a cache that lies on the device, and compares with f64 on the same parts. */
const attended = async (
  programs: Programs,
  name: string,
  given: Case,
  form: Form,
  run: Run,
): Promise<void> => {
  const term = attention(given, form);
  const program = await programs(`${name} ${JSON.stringify(form)}`, () => ({ out: term }));
  const cache = await cacheOn(programs, name, given, run);
  const rows = form.rows === 1 ? 1 : ROWS;
  const count = HEADS * form.group * rows * given.channels;
  const q = tensorOf({ kind: "normal", seed: run.seed + 2, heads: 1, tokens: 1, channels: count });
  const own = { q: q.data, ...form.causal && { past: [run.past] } };
  const sizes = { tokens: run.tokens, rows };
  const { out } = await program.values({ ...cache, ...own }, sizes);
  const parts: Record<string, Float64Array> = {};
  for (const [part, tensor] of Object.entries(cache)) parts[part] = await tensor.read();
  Object.values(cache).forEach((t) => t.dispose());
  const over = excess(out, term, program.outputs.out, { sizes, inputs: { ...parts, ...own } });
  ok(over <= 0, `${over} beyond the rounding of\n${print(term)}`);
  if (!form.causal) return;
  const row = (i: number): number => Math.floor(i / given.channels) % rows;
  const blind = out.filter((_, i) => row(i) + run.past < 0);
  ok(blind.every((x) => x === 0), "a row that sees nothing is not 0");
};

const PLAIN: Form = { heads: HEADS, group: 2, rows: 1, tokens: "tokens", causal: false };
const CAUSAL: Form = { heads: HEADS, group: 2, rows: "rows", tokens: "tokens", causal: true };

onDevices(
  "attention over every scheme from its stored parts, one program for all lengths",
  { wasm: 1, webgpu: 1 },
  async (device) => {
    const programs = programsOn(device);
    const seed = seedNow();
    const held = async (
      name: string,
      given: Case,
      form: Form,
      lengths: readonly number[],
    ): Promise<void> => {
      for (const tokens of lengths) {
        const run = { tokens, kind: "normal", seed: seed + tokens, past: tokens - ROWS } as const;
        await attended(programs, name, given, form, run).catch((cause) => {
          throw new Error(`KVFOLD_SEED=${seed}: ${name}, ${tokens} tokens`, { cause });
        });
      }
    };
    const all = async (name: string, given: Case): Promise<void> => {
      await held(name, given, PLAIN, device.name === "wasm" ? LENGTHS : [3, 256, 257, 700]);
      await held(name, given, CAUSAL, device.name === "wasm" ? LENGTHS : [1, 256]);
    };
    for (const [name, codec] of Object.entries(FORMATS)) {
      await all(name, { codec, channels: 32, streams: true });
    }
    for (const [scheme, make] of Object.entries(SCHEMES)) {
      const given = (bits: Bits): Case => ({
        codec: make(bits),
        channels: scheme === "rtnGrouped" ? 64 : 16,
        streams: true,
      });
      await all(`${scheme}(4)`, given(4));
      if (device.name !== "wasm") continue;
      for (const bits of WIDTHS[scheme as SchemeName].filter((bits) => bits !== 4)) {
        await held(`${scheme}(${bits})`, given(bits), CAUSAL, [1, 257]);
      }
    }
  },
);

/** An attention to a cache of arbitrary contents. */
interface Given {
  readonly keys: string;
  readonly values: string;
  readonly form: Form;
  readonly sizes: { readonly rows: number; readonly tokens: number };
  readonly past: number;
  readonly seed: number;
  readonly schedule: Partial<Schedule>;
}

const given: fc.Arbitrary<Given> = fc.record({
  keys: fc.constantFrom(...Object.keys(CASES)),
  values: fc.constantFrom(...Object.keys(CASES)),
  form: fc.record({
    heads: fc.constantFrom(1, 2),
    group: fc.constantFrom(1, 2, 3),
    rows: fc.constantFrom(1, 2, "rows"),
    tokens: fc.constantFrom(1, 5, "tokens"),
    causal: fc.boolean(),
  }),
  sizes: fc.record({
    rows: fc.integer({ min: 1, max: 5 }),
    tokens: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 70 })),
  }),
  past: fc.integer({ min: -6, max: 70 }),
  seed: fc.nat(),
  schedule: fc.record({ fixed: fc.boolean(), chunk: fc.constantFrom(1, 4, 13, 64, 256) }),
});

const one: Form = { heads: 1, group: 1, rows: 1, tokens: "tokens", causal: false };
/** Found by the property below. */
const PINNED: readonly [Given][] = [
  // A query of integers is off by half a step, which was no part of the rounding.
  [{
    keys: keyOf("joinHeads(quantize(4, per token, symmetric))"),
    values: keyOf("identity"),
    form: { ...one, heads: 2, group: 2 },
    sizes: { rows: 1, tokens: 4 },
    past: 0,
    seed: 50,
    schedule: {},
  }],
  // Weights of integers are walked in eights, beyond the end of a chunk of four.
  [{
    keys: keyOf("identity"),
    values: keyOf("quantize(8, per token, symmetric)"),
    form: one,
    sizes: { rows: 1, tokens: 1 },
    past: 0,
    seed: 0,
    schedule: { fixed: true, chunk: 4 },
  }],
  // Codes and zero points summed apart round where a code and its zero point cancel.
  [{
    keys: keyOf("quantize(8, per 8, asymmetric)"),
    values: keyOf("quantize(4, per token, symmetric)"),
    form: one,
    sizes: { rows: 1, tokens: 5 },
    past: 0,
    seed: 0,
    schedule: { fixed: false, chunk: 1 },
  }],
];

onDevices(
  "attention over any two codecs, whatever the cache holds",
  { wasm: 100, webgpu: 8 },
  (device, runs) =>
    hold(
      fc.asyncProperty(given, async ({ keys, values, form, sizes, past, seed, schedule }) => {
        const [k, v] = [CASES[keys], CASES[values]];
        const streams = k.streams && v.streams;
        const tokens = streams || form.tokens !== "tokens" ? form.tokens : 7;
        const term = attention(k, { ...form, tokens }, v);
        const program = await compile({ out: term }, { device, schedule });
        const inputs = { ...valuesFor(term, sizes, seed), ...form.causal && { past: [past] } };
        const { out } = await program.values(inputs, sizes);
        const over = excess(out, term, program.outputs.out, { sizes, inputs });
        ok(over <= 0, `${over} beyond the rounding of\n${print(term)}`);
      }),
      runs,
      PINNED,
    ),
);

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
      fc.asyncProperty(given, async ({ keys, values, form, sizes, past, seed, schedule }) => {
        const [k, v] = [CASES[keys], CASES[values]];
        const streams = k.streams && v.streams;
        const tokens = streams || form.tokens !== "tokens" ? form.tokens : 7;
        const terms = means(attention(k, { ...form, tokens }, v));
        const program = await compile(terms, { device, schedule });
        const inputs = {
          ...Object.assign({}, ...Object.values(terms).map((t) => valuesFor(t, sizes, seed))),
          ...form.causal && { past: [past] },
        };
        const results = await program.values(inputs, sizes);
        for (const [name, term] of Object.entries(terms)) {
          const over = excess(results[name], term, program.outputs[name], { sizes, inputs });
          ok(over <= 0, `${name} is ${over} beyond the rounding of\n${print(term)}`);
        }
      }),
      runs,
    ),
);
