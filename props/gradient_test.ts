/** Gradients: the law of `laws/gradient.ts` on random terms, on what codecs store, and on devices. */
import { deepEqual, ok, throws } from "node:assert/strict";
import fc from "fast-check";
import { attend } from "../dsl/attention/attend.ts";
import type { Codec } from "../dsl/codec/codec.ts";
import { foldOver, gram, input, map } from "../dsl/core/build.ts";
import { isFloat } from "../dsl/core/dtype.ts";
import { routine } from "../dsl/core/routines.ts";
import { rebuilt, type Term, topological } from "../dsl/core/term.ts";
import { gradient, pullback } from "../dsl/grad/gradient.ts";
import { idealOf, parametersOf } from "../dsl/bound/ideal.ts";
import { codebook } from "../dsl/quantize/codebook.ts";
import { lloydMax, nf4 } from "../dsl/quantize/levels.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { evalAll } from "../dsl/read/eval.ts";
import { print } from "../dsl/read/print.ts";
import { gear } from "../dsl/schemes/gear.ts";
import { decoquantB } from "../dsl/schemes/decoquant.ts";
import { lathe } from "../dsl/schemes/lathe.ts";
import { rtn, rtnGrouped } from "../dsl/schemes/rtn.ts";
import { turboquant } from "../dsl/schemes/turboquant.ts";
import { compile, CompileError } from "../mod.ts";
import { normals } from "./arbitraries.ts";
import { check, hold } from "./check.ts";
import { count, kindsOf, WANTED } from "./coverage.ts";
import { onDevices } from "./devices.ts";
import { compareAlong, movedOf, placed, weighed } from "./laws/gradient.ts";
import { excess } from "./laws/meaning.ts";
import { type Sample, termArb } from "./terms.ts";

/** Stored floats as f32: what may move by a small step. */
const movable = (sample: Sample): Sample => ({
  ...sample,
  term: rebuilt(
    sample.term,
    (t, over) => t.tag === "input" && isFloat(t.dtype) ? input(t.name, t.shape, "f32") : over(),
  ),
});

const sampleArb = fc.record({ sample: termArb().map(movable), seed: fc.nat() });

/** Is a comparison one that a wrong derivative would fail? */
const isSharp = (c: { readonly slope: number; readonly allowed: number }): boolean =>
  c.slope !== 0 && c.allowed < 1e-3 * Math.abs(c.slope);

/** Every node kind, operator and fold; a step has no derivative to be sharp about. */
const SHARP = WANTED.filter((k) => !/^(dtype|input .*)|^map binade$/.test(k));

Deno.test("gradient: random terms agree with central differences", async () => {
  const seen = new Map<string, number>();
  await hold(
    fc.property(sampleArb, ({ sample, seed }) => {
      const { env, direction } = placed(sample, seed);
      const compared = compareAlong(sample.term, env, direction);
      count(seen, compared.tag);
      if (compared.tag !== "compared") return true;
      if (isSharp(compared)) kindsOf(sample.term).forEach((kind) => count(seen, kind));
      ok(compared.excess <= 0, print(sample.term));
      return true;
    }),
    800,
  );
  for (const kind of SHARP) ok((seen.get(kind) ?? 0) > 0, `nothing sharp held ${kind}`);
  const compared = seen.get("compared")!;
  ok(compared > 10 * (seen.get("kink") ?? 0), "most terms are smooth where they are looked at");
});

check(
  "gradient: gradients of gradients agree with central differences",
  fc.property(sampleArb, ({ sample, seed }) => {
    const moved = movedOf(sample.term);
    if (moved.length === 0) return true;
    const { env } = placed(sample, seed);
    const [term] = gradient(weighed(sample.term, "weight"), [moved[seed % moved.length]]);
    const inputs = { ...sample.inputs, weight: [...env.inputs.w as number[]] };
    const again = placed({ ...sample, term, inputs }, seed);
    const compared = compareAlong(term, again.env, again.direction);
    ok(compared.tag !== "compared" || compared.excess <= 0, print(term));
    return true;
  }),
  150,
);

const SHAPE = [2, 4, 64] as const;
const COUNT = SHAPE[0] * SHAPE[1] * SHAPE[2];
const through = (codec: Codec): Term => {
  const x = input("x", SHAPE, "f32");
  return codec.decode(codec.encode(x), SHAPE);
};

const CODECS: readonly Codec[] = [rtn(2), rtnGrouped(2, 16), turboquant(2), lathe(2)];

for (const codec of CODECS) {
  check(
    `gradient: straight through ${codec.name}`,
    fc.property(fc.nat(), (seed) => {
      const next = normals(seed);
      const sample = {
        term: through(codec),
        sizes: {},
        inputs: { x: Array.from({ length: COUNT }, next) },
      };
      const { env, direction } = placed(sample, seed);
      const compared = compareAlong(sample.term, env, direction);
      ok(compared.tag !== "compared" || compared.excess <= 0);
      return true;
    }),
    3,
  );
}

const HELD: readonly Codec[] = [
  ...([1, 2, 4] as const).flatMap((bits) => [
    quantize({ bits, per: 16, range: "asymmetric" }),
    quantize({ bits, per: "token", range: "signed" }),
  ]),
  codebook({ levels: nf4, per: 16, scale: "absmax" }),
  codebook({ levels: lloydMax(2), per: "token", scale: "norm" }),
];

for (const codec of HELD) {
  check(
    `gradient: with its parameters fixed, that of ${codec.name} is that of its ideal`,
    fc.property(fc.nat(), (seed) => {
      const next = normals(seed);
      const y = through(codec);
      const x = input("x", SHAPE, "f32");
      const by = input("by", SHAPE, "f32");
      const parameters = parametersOf(y);
      const fixed = (t: Term): boolean => parameters.has(t);
      const of = (t: Term): Term => pullback([{ of: t, by }], [x], { fixed })[0];
      const inputs = {
        x: Array.from({ length: COUNT }, next),
        by: Array.from({ length: COUNT }, next),
      };
      const [mine, ideal] = evalAll([of(y), of(idealOf(y))], { sizes: {}, inputs });
      // The same derivative, but one program has divided by the step before and multiplied after.
      return mine.data.every((g, i) => Math.abs(g - ideal.data[i]) <= 2 ** -40 * Math.abs(g));
    }),
    3,
  );
}

Deno.test("gradient: attention to a cache in two bits reaches q, k and v", () => {
  const [q, k, v] = ["q", "k", "v"].map((name) =>
    input(name, name === "q" ? [2, 2, 3, 64] : [2, 3, 64], "f32")
  );
  const codec = rtnGrouped(2, 16);
  const held = (x: Term): Term => codec.decode(codec.encode(x), x.shape);
  const out = attend({ q, k: held(k), v: held(v), causal: { offset: 0 } });
  const next = normals(7);
  const inputs = Object.fromEntries([q, k, v].map((t) => [
    (t as Term & { name: string }).name,
    Array.from({ length: t.shape.reduce<number>((n, d) => n * (d as number), 1) }, next),
  ]));
  const { env, direction } = placed({ term: out, sizes: {}, inputs }, 7);
  const compared = compareAlong(out, env, direction);
  ok(compared.tag === "compared" && compared.excess <= 0 && isSharp(compared));
});

Deno.test("gradient: Cholesky factors and their inverses", () => {
  const x = input("x", [2, 5, 3], "f32");
  const a = map("add", gram(x, [1]), 0.5);
  for (const project of ["lower", "inverse"]) {
    const term = routine("cholesky", project, a);
    const next = normals(3);
    const sample = { term, sizes: {}, inputs: { x: Array.from({ length: 30 }, next) } };
    const { env, direction } = placed(sample, 3);
    // No rounding is known of a factor: differences alone, of steps that they are good for.
    const slope = (h: number): number => {
      const [up, down] = [h, -h].map((s) => {
        const moved = (env.inputs.x as number[]).map((v, i) => v + s * direction.x[i]);
        return evalAll([weighed(term)], { sizes: {}, inputs: { ...env.inputs, x: moved } })[0]
          .data[0];
      });
      return (up - down) / (2 * h);
    };
    const [g] = evalAll(gradient(weighed(term), [x]), env);
    const mine = g.data.reduce((sum, v, i) => sum + v * direction.x[i], 0);
    const [first, second] = [slope(2 ** -12), slope(2 ** -13)];
    ok(Math.abs(mine - second) <= Math.abs(first - second) + 2 ** -36 * Math.abs(mine), project);
  }
});

Deno.test("gradient: a routine without a formula is named, unless it is fixed", () => {
  for (const codec of [decoquantB(2), gear(2)]) {
    const y = through(codec);
    const x = input("x", SHAPE, "f32");
    const loss = foldOver("sum", "sum", y, [0, 1, 2]);
    throws(() => gradient(loss, [x]), /gradient: (values|vectors) of eigh has no derivative here/);
    const fixed = (t: Term): boolean => t.tag === "routine";
    const inputs = { x: Array.from({ length: COUNT }, normals(5)) };
    const [g] = evalAll(gradient(loss, [x], { fixed }), { sizes: {}, inputs });
    ok(g.data.every(Number.isFinite) && g.data.some((v) => v !== 0));
  }
});

Deno.test("gradient: errors name the two shapes, and what no result needs gets zeros", () => {
  const [x, y] = [input("x", [3], "f32"), input("y", [2], "f32")];
  throws(() => gradient(x, [x]), {
    name: "ShapeError",
    message: /the loss is \[3\], not one number/,
  });
  throws(() => pullback([{ of: x, by: y }], [x]), {
    name: "ShapeError",
    message: /the gradient is \[2\], its result \[3\]/,
  });
  const [g] = evalAll(gradient(foldOver("sum", "sum", x, [0]), [y]), { sizes: {}, inputs: {} });
  deepEqual([...g.data], [0, 0]);
});

onDevices(
  "gradients of random terms, within the derived rounding",
  { wasm: 60, webgpu: 10 },
  (device, runs) =>
    hold(
      fc.asyncProperty(sampleArb, async ({ sample, seed }) => {
        const moved = movedOf(sample.term);
        fc.pre(moved.length > 0);
        const { env } = placed(sample, seed);
        const [g] = gradient(weighed(sample.term), [moved[seed % moved.length]]);
        const inputs = Object.fromEntries(
          topological([g]).flatMap((t) =>
            t.tag === "input" ? [[t.name, Array.from(env.inputs[t.name], Math.fround)]] : []
          ),
        );
        try {
          const program = await compile({ g }, { device });
          const values = await program.values(inputs, sample.sizes);
          const { sizes } = sample;
          ok(excess(values.g, g, program.outputs.g, { sizes, inputs }) <= 0, print(g));
          return true;
        } catch (error) {
          // As in the meaning law: what is refused by name.
          fc.pre(!(error instanceof CompileError));
          throw error;
        }
      }),
      runs,
    ),
);
