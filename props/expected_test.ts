import { ok } from "node:assert/strict";
import fc from "fast-check";
import { attend } from "../dsl/attention/attend.ts";
import { cached, type Codec, f16, on, stored } from "../dsl/codec/codec.ts";
import { codecVariance } from "../dsl/codec/expected.ts";
import {
  broadcast,
  cast,
  contract,
  foldOver,
  gather,
  input,
  map,
  reshape,
} from "../dsl/core/build.ts";
import { concat, slice } from "../dsl/core/pieces.ts";
import { BITS, type Bits } from "../dsl/core/dtype.ts";
import type { Term } from "../dsl/core/term.ts";
import { hadamard } from "../dsl/decompose/hadamard.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { type Env, evalAll } from "../dsl/read/eval.ts";
import { varianceOf } from "../dsl/expected/expected.ts";
import { print } from "../dsl/read/print.ts";
import { decoquantA, decoquantB } from "../dsl/schemes/decoquant.ts";
import { rtn, rtnGrouped } from "../dsl/schemes/rtn.ts";
import { pipe } from "../fp.ts";
import { compile } from "../mod.ts";
import { uniforms } from "../models/uniforms.ts";
import { normals } from "./arbitraries.ts";
import { check, seedNow } from "./check.ts";
import { lossy } from "./codecs.ts";
import {
  agrees,
  type Bias,
  codecTrials,
  EXACT,
  fourfold,
  isSmooth,
  programTrials,
  ratioOf,
  rebuilt,
  simulatedTrials,
  type Trial,
} from "./laws/expected.ts";
import { excess } from "./laws/meaning.ts";
import { termArb } from "./terms.ts";

/** Widths of codes with steps small enough for the model: one bit tells the two ends of a range apart. */
type Modelled = Exclude<Bits, 1>;
const MODELLED = BITS.filter((bits): bits is Modelled => bits !== 1);

/** So little noise that only the first order is left, and so much that f64 has digits for it. */
const SMALL = 2 ** -16;
const TRIALS = 30;

const saying = (name: string, trials: readonly Trial[]): string => {
  const { ratio, error } = ratioOf(trials);
  return `${name}: measured ${ratio} ± ${error} of what was expected`;
};

const agree = (name: string, trials: readonly Trial[], bias: Bias): void =>
  ok(agrees(trials, bias), saying(name, trials));

const [x, y] = ["x", "y"].map((name) => map("rint", map("mul", input(name, [6, 8], "f32"), 3)));
const w = input("w", [6, 8], "f32");
const sum = (t: Term, axis: number): Term => foldOver("sum", "sum", t, [axis]);

/** One noise, everywhere. */
const everywhere = map("mul", broadcast(sum(sum(x, 0), 0), [8, 8], []), input("v", [8, 8], "f32"));

/** Programs whose expected error is exact, and how much noise they bear: all, if nothing bends. */
const PROGRAMS: Readonly<Record<string, readonly [Term, number]>> = {
  "a sum": [sum(x, 0), 1],
  "a number used twice": [map("add", x, map("mul", x, 2)), 1],
  "one number less a multiple of it": [map("sub", x, map("mul", x, w)), 1],
  "one number and sums of it": [
    map("add", everywhere, contract("a b, b c -> a c", everywhere, input("v", [8, 8], "f32"))),
    1,
  ],
  "a product": [map("mul", x, y), 1],
  "a contraction": [contract("a b, c b -> a c", x, y), 1],
  "an outer product, summed": [contract("a b, c d -> a d", x, y), 1],
  "a sum of copies": [sum(map("mul", broadcast(sum(x, 0), [6, 8], [1]), w), 1), 1],
  "parts that do not nest": [sum(reshape(map("mul", reshape(x, [4, 12]), 2), [3, 16]), 0), 1],
  "axes cut and merged": [sum(reshape(reshape(x, [6, 2, 4]), [12, 4]), 1), 1],
  "slices that overlap": [map("add", slice(x, 1, 0, 5), slice(x, 1, 3, 8)), 1],
  "a concatenation": [sum(concat([x, y, x], 1), 1), 1],
  "a table, looked up": [sum(gather(x, input("at", [40], "u2")), 0), 1],
  halves: [cast(w, "f16"), 1],
  "a power": [map("exp", map("mul", x, 0.2)), SMALL],
  "a quotient": [map("div", x, map("add", map("abs", y), 5)), SMALL],
  "a root": [map("sqrt", map("add", map("abs", x), 2)), SMALL],
  "a choice": [map("max", x, map("add", y, 0.25)), SMALL],
  "an extreme": [foldOver("extent", "lo", map("add", x, map("mul", w, 0.1)), [1]), SMALL],
};

const seeds = fc.integer({ min: 1, max: 2 ** 30 });

check(
  "expected: noise goes through a program as it is drawn",
  fc.property(fc.constantFrom(...Object.keys(PROGRAMS)), seeds, (name, seed) => {
    const [term, size] = PROGRAMS[name];
    const next = normals(seed);
    const some = (): number[] => Array.from({ length: 48 }, () => Math.fround(next()));
    const at = Array.from({ length: 40 }, (_, i) => (i * seed) % 4);
    const v = [...some(), ...some()].slice(0, 64);
    const env = { sizes: {}, inputs: { x: some(), y: some(), w: some(), v, at } };
    const with_ = { uniform: uniforms(seed), size, count: 60 };
    agree(name, simulatedTrials(term, env, with_), EXACT);
    ok(!agrees(simulatedTrials(term, env, { ...with_, changed: fourfold }), EXACT), name);
  }),
  100,
);

check(
  "expected: no program moves further under small noise than is expected of it",
  fc.property(termArb(), seeds, ({ term, sizes, inputs }, seed) => {
    fc.pre(isSmooth(term));
    const env = { sizes, inputs };
    const with_ = { uniform: uniforms(seed), size: SMALL, count: TRIALS };
    agree(print(term), simulatedTrials(term, env, with_), { below: Infinity, above: 0 });
  }),
  200,
);

/** Every codec with codes of `bits`, and halves. */
const coded = (bits: Modelled): readonly Codec[] => [
  ...lossy(bits),
  f16,
  rtn(bits),
  decoquantA(bits),
  decoquantB(bits),
];
const CODECS = MODELLED.flatMap(coded);
const rotated = (bits: Modelled): Codec =>
  pipe(hadamard(), on("values", quantize({ bits, per: "token", range: "asymmetric" })));
const SHAPE = [2, 12, 16];
const SIZE = 2 * 12 * 16;

/** Attention of a few rows on what two codecs rebuild. */
const attention = (k: Codec, v: Codec): Term =>
  attend({
    q: input("q", [2, 2, 2, 16], "f32"),
    k: rebuilt(k, "k", SHAPE),
    v: rebuilt(v, "v", SHAPE),
    causal: { offset: 10 },
  });

const given = (next: () => number): Env => {
  const some = (count: number): number[] =>
    Array.from({ length: count }, () => Math.fround(next()));
  return { sizes: {}, inputs: { q: some(128), k: some(SIZE), v: some(SIZE) } };
};

check(
  "expected: small noise goes through attention over any two codecs as it is drawn",
  fc.property(
    fc.constantFrom(...CODECS),
    fc.constantFrom(...CODECS),
    seeds,
    (k, v, seed) => {
      const with_ = { uniform: uniforms(seed), size: SMALL, count: TRIALS };
      const trials = simulatedTrials(attention(k, v), given(normals(seed)), with_);
      agree(`${k.name}, ${v.name}`, trials, EXACT);
    },
  ),
  40,
);

/**
 * How far uniform noise is from the rounding of a bell of σ = r steps about a whole number (Sripad and
 * Snyder 1977, the first term): E[e²] = (1 − (12/π²)·e^(−2π²r²)) / 12.
 */
const bell = (r: number): number => 12 / Math.PI ** 2 * Math.exp(-2 * Math.PI ** 2 * r ** 2);

/** Smallest σ in steps: at 2 bits a symmetric step is the largest of 384 numbers, some 3.3 σ. */
const SMOOTH: Readonly<Record<Modelled, Bias>> = {
  // Few codes: what is left of the bell is not even within its outer cells either.
  2: { below: bell(1 / 3.3) + 0.05, above: 0.05 },
  3: { below: bell(3 / 3.3) + 0.03, above: 0.03 },
  4: { below: 0.02, above: 0.02 },
  8: { below: 0.02, above: 0.02 },
};

/** Cells of a codebook are wide where values are few, and the last is cut off: noise there is not even. */
const UNEVEN: Bias = { below: 0.25, above: 0.25 };

/** Where one channel sets the step of others they lie within it: nothing is known from below. */
const COARSE: Bias = { below: 1, above: 2 };

type Make = (i: number, normal: () => number, uniform: () => number) => number;
const DATA: Readonly<Record<string, { readonly make: Make; readonly coarse: boolean }>> = {
  normal: { make: (_, normal) => normal(), coarse: false },
  uniform: { make: (_, __, uniform) => 2 * uniform() - 1, coarse: false },
  outlier: { make: (i, normal) => normal() * (i % 16 === 3 ? 30 : 1), coarse: true },
};

const tensors = (make: Make, seed: number): Float64Array[] => {
  const [normal, uniform] = [normals(seed), uniforms(seed + 1)];
  return Array.from(
    { length: TRIALS },
    () => Float64Array.from({ length: SIZE }, (_, i) => Math.fround(make(i, normal, uniform))),
  );
};

for (const bits of MODELLED) {
  for (const [data, { make, coarse }] of Object.entries(DATA)) {
    Deno.test(`expected: every codec at ${bits} bits errs as much as expected, ${data}`, () => {
      const seed = seedNow();
      const given = tensors(make, seed);
      for (const codec of coded(bits)) {
        const name = `KVFOLD_SEED=${seed} ${codec.name}`;
        const trials = codecTrials(codec, SHAPE, given);
        const uneven = codec.name.includes("codebook");
        agree(name, trials, coarse ? COARSE : uneven ? UNEVEN : SMOOTH[bits]);
        if (coarse) continue;
        const wrong = trials.map((t) => ({ ...t, expected: 4 * t.expected }));
        ok(!agrees(wrong, SMOOTH[bits]), `step²/3 passes for ${name}`);
      }
    });
  }
}

/** First order: at 2 bits scores are off by more than it says, and the softmax bends. */
const ATTENTION: Readonly<Record<Modelled, Bias>> = {
  2: { below: 0.4, above: 0.1 },
  3: { below: 0.15, above: 0.08 },
  4: { below: 0.05, above: 0.05 },
  8: { below: 0.03, above: 0.03 },
};

for (const bits of MODELLED) {
  Deno.test(`expected: attention over caches of ${bits} bits errs as much as expected`, () => {
    const seed = seedNow();
    const next = normals(seed);
    const envs = Array.from({ length: 2 * TRIALS }, () => given(next));
    const pairs = [rtn(bits), rtnGrouped(bits, 16), decoquantB(bits), rotated(bits)];
    pairs.forEach((k, i) => {
      const v = pairs[(i + 1) % pairs.length];
      const name = `KVFOLD_SEED=${seed} ${k.name}, ${v.name}`;
      const trials = programTrials(attention(k, v), envs);
      agree(name, trials, ATTENTION[bits]);
      const wrong = trials.map((t) => ({ ...t, expected: 4 * t.expected }));
      ok(!agrees(wrong, ATTENTION[bits]), `step²/3 passes for ${name}`);
    });
  });
}

Deno.test("expected: attention on a stored cache, compiled with its variance, within rounding", async () => {
  const shape = [2, "tokens", 16] as const;
  const tokens = 37;
  for (const codec of [rtn(4), rtnGrouped(2, 16), decoquantB(4), rotated(2)]) {
    const q = input("q", [2, 2, 2, 16], "f32");
    const out = attend({ q, k: cached(codec, "k", shape), v: cached(codec, "v", shape) });
    const program = await compile({ out, variance: varianceOf(out, { codes: true }) });
    const next = normals(7);
    const some = (count: number): number[] =>
      Array.from({ length: count }, () => Math.fround(next()));
    const parts = Object.fromEntries(["k", "v"].flatMap((name) => {
      const encoded = codec.encode(input("x", shape, "f32"));
      const env = { sizes: { tokens }, inputs: { x: some(2 * tokens * 16) } };
      const values = evalAll(Object.values(encoded), env);
      return Object.keys(stored(codec, name, shape)).map((
        part,
        i,
      ) => [`${name}.${part}`, values[i].data]);
    }));
    const inputs = { q: some(128), ...parts };
    const values = await program.values(inputs, { tokens });
    const meant = varianceOf(out, { codes: true });
    const over = excess(values.variance, meant, program.outputs.variance, {
      sizes: { tokens },
      inputs,
    });
    ok(over <= 0 && over > -Infinity, `${codec.name}: ${over} beyond rounding`);
  }
});

/** Where f64 has one code and f32 its neighbour, a coefficient differs by a step: rarely, and by that. */
const FLIPPED = 1e-3;

Deno.test("expected: a program that encodes, compiled with its variance, agrees with f64", async () => {
  const shape = [2, "tokens", 16] as const;
  const tokens = 12;
  for (const codec of [rtn(4), rtnGrouped(2, 16), decoquantB(4), rotated(2)]) {
    const [k, v] = [rebuilt(codec, "k", shape), rebuilt(codec, "v", shape)];
    const out = attend({ q: input("q", [2, 2, 2, 16], "f32"), k, v, causal: { offset: 10 } });
    const x = input("k", shape, "f32");
    const terms = {
      out,
      variance: varianceOf(out),
      kept: codecVariance(codec, x, codec.encode(x)),
    };
    const env = { ...given(normals(11)), sizes: { tokens } };
    const program = await compile(terms);
    const values = await program.values(env.inputs, env.sizes);
    evalAll([terms.variance, terms.kept], env).forEach(({ data }, i) => {
      const near = [values.variance, values.kept][i];
      const far = Math.hypot(...data.map((d, j) => d - near[j])) / Math.hypot(...data);
      ok(far < FLIPPED, `${codec.name}: ${far}`);
    });
  }
});
