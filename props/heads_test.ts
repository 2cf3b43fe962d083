/** Joined heads: the same values in another order, and which parts lie head by head. */
import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import {
  type Codec,
  f16,
  hadamard,
  identity,
  input,
  joinHeads,
  mpo,
  on,
  outliers,
  permute,
  quantize,
  reorder,
  reshape,
  residual,
  rotate,
  smooth,
  split,
  svd,
  type Term,
  window,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { DTYPES } from "../dsl/core/dtype.ts";
import { rangeDim } from "../dsl/core/dims.ts";
import { evalAll } from "../dsl/read/eval.ts";
import { lower } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { WEBGPU_TARGET } from "../compiler/runtime/webgpu.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { normals } from "./arbitraries.ts";
import { check } from "./check.ts";

const token = quantize({ bits: 4, per: "token", range: "symmetric" });

/** Codecs of `[tokens, heads·channels]` for 16 channels a head, and their parts that are a head's own. */
const JOINED: readonly (readonly [Codec, readonly string[]])[] = [
  [identity, ["values"]],
  [f16, ["values"]],
  [token, ["codes"]],
  [quantize({ bits: 2, per: 8, range: "asymmetric" }), ["codes", "scale", "min"]],
  [quantize({ bits: 4, per: "channel", range: "asymmetric" }), ["codes"]],
  [quantize({ bits: 4, per: { tokens: 2 }, range: "symmetric" }), ["codes", "scale"]],
  [residual(token, token), ["base.codes", "rest.codes"]],
  [pipe(mpo({ inner: 8 }), on("large", token), on("small", f16)), ["large.codes"]],
  [mpo({ channels: [4, 4, 4] }), ["site1"]],
  [pipe(mpo({ channels: [4, 4, 4] }), on("site1", token)), ["site1.codes"]],
  [pipe(smooth(), on("values", token)), ["values.codes"]],
  [window({ tail: 1, group: 2 }, token), ["packed.codes", "tail"]],
  [outliers({ count: 2 })(token), ["values.codes"]],
  // 16 codes of 1 or 3 bits fill no words.
  [quantize({ bits: 1, per: "token", range: "asymmetric" }), []],
  [quantize({ bits: 3, per: "token", range: "asymmetric" }), []],
  // Every head is made of what all have.
  [pipe(hadamard(), on("values", token)), []],
  [pipe(rotate(), on("values", token)), []],
  [pipe(reorder(Array.from({ length: 64 }, (_, i) => 5 * i % 64)), on("values", token)), []],
  [split([24, 40], [token, f16]), []],
  [svd({ rank: 16 }), []],
];

const [HEADS, CHANNELS] = [4, 16];
/** Whole groups of two tokens. */
const named = rangeDim("tokens", { start: 0 }, { start: 0, group: 2 });
const shape = [HEADS, named, CHANNELS] as const;
const rows = [named, HEADS * CHANNELS] as const;
const x = input("x", shape, "f32");
const joined = reshape(permute(x, [1, 0, 2]), rows);

/** Numbers for x of six tokens. */
const numbers = (next: () => number): Float64Array =>
  Float64Array.from({ length: HEADS * 6 * CHANNELS }, next);

/** Parts that lie head by head: one axis more than those of all heads in a row. */
const apart = (codec: Codec): string[] => {
  const own = codec.encode(joined);
  return Object.entries(joinHeads(codec).encode(x))
    .filter(([name, t]) => t.shape.length > own[name].shape.length).map(([name]) => name);
};

Deno.test("parts that are a head's own lie head by head, in whole words", () => {
  for (const [codec, own] of JOINED) {
    deepEqual(apart(codec).sort(), [...own].sort(), codec.name);
    const parts = joinHeads(codec).encode(x);
    own.forEach((name) => equal(parts[name].shape[0], HEADS, `${codec.name}: ${name}`));
  }
});

/** A part whose last axis has a whole share for each head. */
const shared = ({ shape, dtype }: Term): boolean => {
  const n = shape[shape.length - 1] as number;
  return shape.length > 1 && shape.some((d) => typeof d === "string") && n % HEADS === 0 &&
    n / HEADS * DTYPES[dtype].bits % 32 === 0;
};

check(
  "a part lies head by head where what each head has of it changes that head alone",
  fc.property(fc.constantFrom(...JOINED.map(([codec]) => codec)), fc.nat(), (codec, seed) => {
    const own = codec.encode(joined);
    const inputs = Object.entries(own).map(([name, t]) => [name, input(name, t.shape, t.dtype)]);
    const back = codec.decode(Object.fromEntries(inputs), rows);
    const sizes = { tokens: 6 };
    const env = { sizes, inputs: { x: numbers(normals(seed)) } };
    const made = evalAll(Object.values(own), env);
    const given = Object.fromEntries(Object.keys(own).map((name, i) => [name, made[i].data]));
    const decoded = (parts: typeof given): Float64Array =>
      evalAll([back], { sizes, inputs: parts })[0].data;
    const before = decoded(given);
    const headOf = (i: number, n: number): number => Math.floor(i % n / (n / HEADS));
    for (const [name, t] of Object.entries(own)) {
      if (!shared(t)) continue;
      const n = t.shape[t.shape.length - 1] as number;
      const alone = Array.from({ length: HEADS }, (_, head) => head).every((head) => {
        const other = given[name].map((v, i) => headOf(i, n) !== head ? v : v === 0 ? 1 : 0);
        return decoded({ ...given, [name]: other })
          .every((v, i) => v === before[i] || headOf(i, HEADS * CHANNELS) === head);
      });
      equal(alone, apart(codec).includes(name), `${codec.name}: ${name}`);
    }
  }),
  60,
);

check(
  "joined heads store the values that their codec does, in another order",
  fc.property(fc.constantFrom(...JOINED.map(([codec]) => codec)), fc.nat(), (codec, seed) => {
    const own = codec.encode(joined);
    const stored = joinHeads(codec).encode(x);
    const names = Object.keys(own);
    deepEqual(Object.keys(stored), names);
    const back = joinHeads(codec).decode(stored, shape);
    const plain = permute(reshape(codec.decode(own, rows), [named, HEADS, CHANNELS]), [1, 0, 2]);
    const found = evalAll(
      [back, plain, ...Object.values(stored), ...Object.values(own)],
      { sizes: { tokens: 6 }, inputs: { x: numbers(normals(seed)) } },
    ).map((v) => v.data);
    deepEqual(found[0], found[1]);
    names.forEach((name, i) => {
      const [a, b] = [found[2 + i], found[2 + names.length + i]];
      if (!apart(codec).includes(name)) return deepEqual(a, b);
      // [heads, entries, share] as [entries, heads · share].
      const share = own[name].shape[own[name].shape.length - 1] as number / HEADS;
      const entries = b.length / HEADS / share;
      ok(
        b.every((v, at) => {
          const [entry, rest] = [Math.floor(at / HEADS / share), at % (HEADS * share)];
          return v === a[(Math.floor(rest / share) * entries + entry) * share + rest % share];
        }),
        `${codec.name}: ${name}`,
      );
    });
  }),
  100,
);

Deno.test("codes, scales and minima of joined heads are one pass, put where they lie", () => {
  for (const codec of [token, JOINED[3][0]]) {
    const parts = joinHeads(codec).encode(input("x", [4, "tokens", 64], "f32"));
    for (const target of [WASM_TARGET, WEBGPU_TARGET]) {
      const { plans } = lower({ ...parts }, SKELETONS, target);
      deepEqual(plans.map((p) => p.skeleton), ["encode"], codec.name);
    }
  }
});
