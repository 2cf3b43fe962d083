import { ok } from "node:assert/strict";
import fc from "fast-check";
import { attend } from "../dsl/attention/attend.ts";
import { type Codec, f16, identity, on } from "../dsl/codec/codec.ts";
import {
  cast,
  contractBy,
  foldBy,
  gather,
  gram,
  input,
  map,
  reshape,
  table,
} from "../dsl/core/build.ts";
import { BITS } from "../dsl/core/dtype.ts";
import type { Shape, Term } from "../dsl/core/term.ts";
import { hadamard } from "../dsl/decompose/hadamard.ts";
import { mpo } from "../dsl/decompose/mpo.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { print } from "../dsl/read/print.ts";
import { rtn, rtnGrouped } from "../dsl/schemes/rtn.ts";
import { decoquantB } from "../dsl/schemes/decoquant.ts";
import { pipe } from "../fp.ts";
import { normals, samples, tensorOf } from "./arbitraries.ts";
import { codecBound } from "../dsl/codec/bound.ts";
import { evalAll } from "../dsl/read/eval.ts";
import { F32 } from "../dsl/read/machine.ts";
import { lathe } from "../dsl/schemes/lathe.ts";
import { turboquant } from "../dsl/schemes/turboquant.ts";
import { check } from "./check.ts";
import { SYMMETRIC } from "./codecs.ts";
import { boundExcess, normExcess } from "./laws/bound.ts";
import { type Sample, termArb } from "./terms.ts";

/** A rounding of a statistic of what was rounded itself: stored once, and used by both programs. */
const z = input("z", [1], "f32");
const statistic = map("rint", gram(cast(input("x", [1], "f32"), "u4"), []));
const storedOfRounded: Sample = {
  term: map("rint", map("add", z, reshape(statistic, [1]))),
  sizes: {},
  inputs: { x: [1.6], z: [0] },
};

/** Gaps of a table are numbers of f32 that are not below them. */
const levels = table([-1.5, 1.6]);
const between: Sample = {
  term: gather(levels, cast(map("min", map("abs", input("x", [1], "f32")), 1), "u32")),
  sizes: {},
  inputs: { x: [0.5] },
};

/** A reshape of a softmax fold that adds axes of one merges no channels. */
const attended = foldBy(
  "softmax",
  "mean",
  { args: [["a", "b"], ["c", "a"]], out: ["c", "b"] },
  [input("s", [1, 2], "f32"), map("rint", input("v", [3, 1], "f32"))],
);
const widened = reshape(attended, [3, 2, 1, 1]);
const axesOfOne: Sample = {
  term: contractBy(
    { args: [["a", "b", "c", "d"], ["e", "a", "c", "d"]], out: ["d", "e"] },
    widened,
    input("w", [4, 3, 1, 1], "f32"),
  ),
  sizes: {},
  inputs: { s: [0, 1], v: [0.4, 1.2, -0.7], w: Array.from({ length: 12 }, (_, i) => i - 5) },
};

check(
  "bound: any program is within its bound of its ideal",
  fc.property(termArb(), ({ term, sizes, inputs }) => {
    ok(!(boundExcess(term, { sizes, inputs }) > 0), print(term));
  }),
  400,
  [[storedOfRounded], [axesOfOne], [between]],
);

const CODECS: Readonly<Record<string, Codec>> = {
  identity,
  f16,
  ...Object.fromEntries(BITS.map((bits) => [`rtnGrouped ${bits}`, rtnGrouped(bits, 16)])),
  ...Object.fromEntries(SYMMETRIC.flatMap((bits) => [
    [`rtn ${bits}`, rtn(bits)],
    [`decoquantB ${bits}`, decoquantB(bits)],
  ])),
};

/** What a program sees of a tensor: its codec's reconstruction. */
const rebuilt = (codec: Codec, name: string, shape: Shape): Term =>
  codec.decode(codec.encode(input(name, shape, "f32")), shape);

check(
  "bound: attention over any codecs is within its bound of exact attention",
  fc.property(
    fc.constantFrom(...Object.keys(CODECS)),
    fc.constantFrom(...Object.keys(CODECS)),
    samples([16], 2, 12),
    fc.double({ min: 0.01, max: 8, noNaN: true }),
    (k, v, sample, heat) => {
      const { data, shape } = tensorOf(sample);
      const [heads, tokens, channels] = shape;
      const q = Array.from(
        { length: heads * channels },
        (_, i) => Math.fround(heat * Math.sin(1 + 7 * i)),
      );
      // Keys within reach of exp: what is tested is the rule, not overflow.
      const top = data.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-30);
      const keys = Array.from(data, (x) => Math.fround(4 * x / top));
      const of: Shape = [heads, "tokens", channels];
      const term = attend({
        q: input("q", [heads, 1, 1, channels], "f32"),
        k: rebuilt(CODECS[k], "k", of),
        v: rebuilt(CODECS[v], "v", of),
      });
      const env = { sizes: { tokens }, inputs: { q, k: keys, v: keys.toReversed() } };
      ok(!(boundExcess(term, env) > 0));
    },
  ),
  150,
);

check(
  "bound: any program is within the bound of its 2-norm along any axis",
  fc.property(termArb(), fc.nat(), ({ term, sizes, inputs }, at) => {
    const rank = term.shape.length;
    if (rank === 0) return;
    ok(!(normExcess(term, at % rank, { sizes, inputs }) > 0), print(term));
  }),
  300,
);

/** Reconstructions through linear maps: there the 2-norm is more than the norm of elementwise bounds. */
const MAPPED: Readonly<Record<string, Codec>> = Object.fromEntries(
  ([2, 4, 8] as const).flatMap((bits) => {
    const token = quantize({ bits, per: "token", range: "symmetric" });
    return [
      [`decoquantB ${bits}`, decoquantB(bits, 4)],
      [`hadamard ${bits}`, pipe(hadamard(), on("values", rtnGrouped(bits, 8)))],
      [
        `hadamard twice ${bits}`,
        pipe(hadamard(), on("values", pipe(hadamard(), on("values", token)))),
      ],
      [`three sites ${bits}`, pipe(mpo({ channels: [4, 2, 2] }), on("site1", token))],
    ];
  }),
);

check(
  "bound: what comes back is within the 2-norm of its error, for each token",
  fc.property(
    fc.constantFrom(...Object.keys(MAPPED)),
    samples([16], 2, 8),
    (name, sample) => {
      const { data, shape } = tensorOf(sample);
      const [heads, tokens, channels] = shape;
      const term = rebuilt(MAPPED[name], "x", [heads, "tokens", channels]);
      ok(!(normExcess(term, 2, { sizes: { tokens }, inputs: { x: Array.from(data) } }) > 0), name);
    },
  ),
  200,
);

/** Levels that are far from a value clamp it: the device's arithmetic on its way there is not counted once a level. */
for (const [name, codec] of Object.entries({ turboquant: turboquant(4), lathe: lathe(4) })) {
  Deno.test(`bound: ${name} costs on a device at most a quarter more than in exact arithmetic`, () => {
    const shape = [2, "t", 64] as const;
    const x = input("x", shape, "f32");
    const parts = codec.encode(x);
    const bounds = [{}, { machine: F32 }].map((of) =>
      codecBound(codec, x, parts, { ...of, norm: [2] })
    );
    const next = normals(1);
    const values = Array.from({ length: 2 * 8 * 64 }, (_, i) => next() + (i % 64 === 3 ? 20 : 0));
    const [exact, device] = evalAll(bounds, { sizes: { t: 8 }, inputs: { x: values } });
    exact.data.forEach((e, i) => ok(e <= device.data[i] && device.data[i] <= 1.25 * e));
  });
}
