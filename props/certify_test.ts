/** Binds certificates to the truth, on every device, and shows wrong codecs to the laws. */
import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  attend,
  BITS,
  cached,
  cast,
  type Certified,
  certify,
  type Codec,
  concat,
  constant,
  contract,
  decoquantB,
  evalAll,
  F64,
  gather,
  higgs,
  idealOf,
  input,
  map,
  print,
  quantize,
  rounding,
  rtn,
  rtnGrouped,
  SCHEDULE,
  slice,
  tryCertify,
} from "../mod.ts";
import { isLeft } from "../fp.ts";
import { normals, samples, tensorOf } from "./arbitraries.ts";
import { hold } from "./check.ts";
import { SYMMETRIC } from "./codecs.ts";
import { onDevices } from "./devices.ts";
import { certificateOf, certificateVerdict, withStored } from "./laws/certify.ts";
import { scheduleArb } from "./schedules.ts";
import { type Sample, termArb } from "./terms.ts";
import { boundLaw, recodeLaw, run, U } from "./laws/codec.ts";

/** Few channels in small blocks: many programs, each compiled once. */
const [HEADS, CHANNELS, BLOCK] = [2, 8, 4];
const CODECS: Readonly<Record<string, Codec>> = Object.fromEntries(
  BITS.flatMap((bits) => [
    [`rtnGrouped ${bits}`, rtnGrouped(bits, BLOCK)],
    ...SYMMETRIC.includes(bits)
      ? [[`rtn ${bits}`, rtn(bits)], [`decoquantB ${bits}`, decoquantB(bits, BLOCK)]]
      : [],
  ]),
);

/** Attention from raw keys and values, encoded and decoded on the way. */
const attention = (codec: Codec) => {
  const [k, v] = ["k", "v"].map((name) => {
    const shape = [HEADS, "tokens", CHANNELS];
    return codec.decode(codec.encode(input(name, shape, "f32")), shape);
  });
  return withStored(attend({ q: input("q", [HEADS, 1, 1, CHANNELS], "f32"), k, v }));
};

onDevices(
  "certify: attention from raw keys and values is within its certificate of the ideal",
  { wasm: 120, webgpu: 9 },
  async (device, runs) => {
    const programs = new Map<string, Promise<Certified>>();
    let [claims, all] = [0, 0];
    await hold(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(CODECS)),
        samples([CHANNELS], 1, 20).map((s) => ({ ...s, heads: HEADS })),
        fc.double({ min: 0.01, max: 8, noNaN: true }),
        async (name, sample, heat) => {
          const meant = attention(CODECS[name]);
          const made = programs.get(name) ?? certify(meant, { device });
          programs.set(name, made);
          const program = await made;
          const { data } = tensorOf(sample);
          // Keys within reach of exp: what is tested is the rule, not overflow.
          const top = data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-30);
          const k = data.map((x) => Math.fround(4 * x / top));
          const q = Float64Array.from(
            { length: HEADS * CHANNELS },
            (_, i) => Math.fround(heat * Math.sin(1 + 7 * i)),
          );
          const env = { sizes: { tokens: sample.tokens }, inputs: { q, k, v: k.toReversed() } };
          const values = await program.values(env.inputs);
          const verdict = certificateVerdict(meant, values, env);
          ok(!(verdict.excess > 0), `${name}: ${verdict.excess} beyond the certificate`);
          claims += verdict.claims;
          all += values.out.value.length;
        },
      ),
      runs,
    );
    ok(claims > 0.7 * all, `claims for ${claims} of ${all} elements`);
  },
);

onDevices(
  "certify: attention over stored caches is within its certificate of what the codes stand for",
  { wasm: 60, webgpu: 6 },
  async (device, runs) => {
    const programs = new Map<string, Promise<Certified>>();
    const shape = [HEADS, "tokens", CHANNELS] as const;
    const q = input("q", [HEADS, 2, 1, CHANNELS], "f32");
    await hold(
      fc.asyncProperty(
        fc.constantFrom(...Object.keys(CODECS)),
        samples([CHANNELS], 1, 20).map((s) => ({ ...s, heads: HEADS })),
        fc.double({ min: 0.01, max: 8, noNaN: true }),
        fc.boolean(),
        async (name, sample, heat, sharp) => {
          const codec = CODECS[name];
          const out = attend({ q, k: cached(codec, "k", shape), v: cached(codec, "v", shape) });
          const key = `${name} ${sharp}`;
          const made = programs.get(key) ?? certify({ out }, { device, codes: true, sharp });
          programs.set(key, made);
          const { data } = tensorOf(sample);
          const top = data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-30);
          const k = data.map((x) => Math.fround(4 * x / top));
          const queries = Float64Array.from(
            { length: 2 * HEADS * CHANNELS },
            (_, i) => Math.fround(heat * Math.cos(1 + 5 * i)),
          );
          const sizes = { tokens: sample.tokens };
          const [given, seen]: Record<string, ArrayLike<number>>[] = [{ q: queries }, {}];
          const ideals = [["k", k], ["v", k.toReversed()]].map(([part, x]) => {
            const raw = input(part as string, shape, "f32");
            const parts = codec.encode(raw);
            const env = { sizes, inputs: { [part as string]: x as Float64Array } };
            const values = evalAll(Object.values(parts), env);
            Object.keys(parts).forEach((n, i) => given[`${part}.${n}`] = values[i].data);
            const [ideal] = evalAll([idealOf(codec.decode(parts, shape))], env);
            seen[`${part} ideal`] = ideal.data;
            return input(`${part} ideal`, shape, "f32");
          });
          const exact = attend({ q, k: ideals[0], v: ideals[1] });
          const [{ value, error }] = rounding(
            [exact],
            { sizes, inputs: { q: queries, ...seen } },
            F64,
          );
          const { out: certificate } = await (await made).values(given, sizes);
          certificate.bound.forEach((bound, i) => {
            const off = Math.abs(certificate.value[i] - value.data[i]);
            ok(!(off > bound + error[i]), `${name}: ${off} beyond ${bound} at ${i}`);
          });
        },
      ),
      runs,
    );
  },
);

/** No claim for a row that may be another, and e to the power of no claim: constants beyond all numbers. */
const x0 = input("x0", [1], "f32");
const unsure = gather(x0, cast(map("min", map("abs", x0), 0), "u32"));
const overflowing: Sample = {
  term: map("exp", map("max", map("min", unsure, 20), -20)),
  sizes: {},
  inputs: { x0: [1.162437915802002] },
};

/** A sum of squares that a machine takes for 0, and chooses by. */
const small = input("x0", [2, 1], "f32");
const squares = contract("a b, a b -> a", small, small);
const vanishing: Sample = {
  term: map("select", squares, squares, input("x1", [2], "u4")),
  sizes: {},
  inputs: { x0: [1e-40, 3.5], x1: [10, 8] },
};

onDevices(
  "certify: any program, under any schedule, is within its certificate",
  { wasm: 150, webgpu: 15 },
  async (device, runs) => {
    let claims = 0;
    await hold(
      fc.asyncProperty(termArb(), scheduleArb, fc.boolean(), async (sample, schedule, sharp) => {
        const verdict = await certificateOf(device, sample, schedule, sharp);
        if (verdict === undefined) return;
        ok(
          !(verdict.excess > 0),
          `${verdict.excess} beyond the certificate\n${print(sample.term)}`,
        );
        claims += verdict.claims;
      }),
      runs,
      [[overflowing, SCHEDULE, true], [vanishing, SCHEDULE, true]],
    );
    ok(claims > runs, `${claims} claims`);
  },
);

/** Codes of 4 bits, one scale a token: what the wrong codecs below pretend to be. */
const honest = quantize({ bits: 4, per: "token", range: "symmetric" });

const WRONG: Readonly<Record<string, Codec>> = {
  "decodes with another scale than it stores": {
    ...honest,
    decode: (parts, shape) =>
      honest.decode({ ...parts, scale: map("mul", parts.scale, 1.25) }, shape),
  },
  "is off by one in the zero point": {
    ...honest,
    decode: (parts, shape) => honest.decode({ ...parts, codes: map("add", parts.codes, 1) }, shape),
  },
  "drops a channel": {
    ...honest,
    decode: (parts, shape) => {
      const kept = slice(honest.decode(parts, shape), 1, 1, CHANNELS);
      return concat([constant(0, [shape[0], 1]), kept], 1);
    },
  },
};

/** Stores and decodes as `actual` does, and shows `claimed` to whoever reads its terms after that. */
const claiming = (actual: Codec, claimed: Codec): Codec => {
  let [encoded, decoded] = [0, 0];
  return {
    name: actual.name,
    encode: (...of) => (encoded++ === 0 ? actual : claimed).encode(...of),
    decode: (...of) => (decoded++ === 0 ? actual : claimed).decode(...of),
  };
};

const tensor = tensorOf({ kind: "normal", seed: 5, heads: 1, tokens: 4, channels: CHANNELS });
const x = { shape: [4, CHANNELS], data: tensor.data };
const ofToken = (i: number): number => Math.floor(i / CHANNELS);
const tolerance = 64 * U;

Deno.test("laws: the honest codec passes, also where it claims its own bound", () => {
  for (const codec of [honest, claiming(honest, honest)]) {
    ok(boundLaw(codec, x, false, tolerance));
  }
  ok(recodeLaw(honest, x, ofToken, 8));
});

for (const [what, wrong] of Object.entries(WRONG)) {
  Deno.test(`laws: a codec that ${what} is caught`, () => {
    equal(recodeLaw(wrong, x, ofToken, 8), false, "its codes move when coded again");
    equal(boundLaw(claiming(wrong, honest), x, false, tolerance), false, "it claims too little");
    // Left to itself it cannot lie: its bound is derived, and grows by what is wrong.
    ok(boundLaw(wrong, x, false, tolerance));
    const [own, due] = [wrong, honest].map((codec) => Math.max(...run(codec, x, false).bound));
    ok(own > 1.5 * due, `${own} against ${due}`);
  });
}

Deno.test("certify: codes given as inputs are off by half a code where they stand for something", async () => {
  const back = map("mul", input("codes", [4], "u4"), 0.5);
  const bounds = [];
  for (const codes of [false, true]) {
    const program = await certify({ back }, { codes });
    bounds.push(Array.from((await program.values({ codes: [0, 1, 2, 15] })).back.bound));
  }
  // Half a code and the rounding of a product.
  ok(bounds[0].every((b) => b > 0 && b < 1e-6));
  ok(bounds[1].every((b) => b > 0.25 && b < 0.25 * (1 + 1e-5)));
});

Deno.test("certify: of known few tokens no kernel is made of everything, and the certificate holds", async () => {
  const shape = [1, 4, 64] as const;
  const [k, v] = ["k", "v"].map((name) =>
    higgs.decode(higgs.encode(input(name, shape, "f32")), shape)
  );
  const meant = withStored(attend({ q: input("q", [1, 1, 1, 64], "f32"), k, v }));
  const next = normals(3);
  const numbers = (count: number) =>
    Float64Array.from({ length: count }, () => Math.fround(next()));
  const env = { sizes: {}, inputs: { q: numbers(64), k: numbers(256), v: numbers(256) } };
  // One kernel of it all took more locals than a function of WebAssembly may have.
  const program = await certify(meant, { device: "wasm" });
  const { excess, claims } = certificateVerdict(meant, await program.values(env.inputs), env);
  ok(!(excess > 0) && claims === 64, `${excess} beyond the certificate, ${claims} claims`);
});

Deno.test("certify: where nothing is known the bound is Infinity", async () => {
  const [a, b] = [input("a", [2], "f32"), input("b", [2], "f32")];
  const y = map("div", a, map("rint", b));
  const { y: { bound } } = await (await certify({ y })).values({ a: [1, 1], b: [0.25, 8.25] });
  equal(bound[0], Infinity);
  ok(bound[1] > 0 && bound[1] < 0.02);
});

Deno.test("certify: what cannot be certified is an error that says so", async () => {
  const y = input("y", [2], "f32");
  const taken = await tryCertify({ y, "y bound": y });
  ok(isLeft(taken) && taken.left.message === 'certify: "y bound" is the bound of "y"');
});
