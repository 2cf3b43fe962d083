/**
 * What attention over a codec compiles to: how many kernels, which buffers, how many bytes. A
 * refactor shows an empty diff here, and in the snapshots of the generated text.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import {
  attend,
  BITS,
  broadcast,
  cached,
  center,
  codebook,
  type Codec,
  compile,
  contract,
  decoquantA,
  decoquantB,
  f16,
  foldOver,
  FORMATS,
  hadamard,
  identity,
  input,
  kivi,
  lathe,
  lloydMax,
  map,
  mpo,
  nf4,
  normalize,
  on,
  perHead,
  type Program,
  quantize,
  rotate,
  rtn,
  rtnGrouped,
  type SchemeName,
  SCHEMES,
  softmaxFold,
  type Term,
  turboquant,
  WIDTHS,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { emitWgsl } from "../compiler/emit/wgsl.ts";
import { emitWat } from "../compiler/emit/wat.ts";
import { lower } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { WEBGPU_TARGET } from "../compiler/runtime/webgpu.ts";
import { boundOf } from "../dsl/bound/bound.ts";
import { F32 } from "../dsl/read/machine.ts";
import { SKELETONS } from "./mod.ts";

const shape = [2, "tokens", 64] as const;

const attention = (codec: Codec, rows: number | string = 1): ReturnType<typeof attend> =>
  attend({
    q: input("q", [2, 2, rows, 64], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
  });

const program = (codec: Codec, rows: number | string = 1): Promise<Program> =>
  compile({ out: attention(codec, rows) });

const buffersOf = (p: Program): string[][] => p.structure.kernels.map((k) => [...k.buffers]);

Deno.test("attention over RTN-4: 2 kernels, packed words in, nothing rebuilt", async () => {
  const p = await program(rtn(4));
  deepEqual(buffersOf(p), [
    [
      "read q f32 [2,2,1,64]",
      'read k.codes u4 [2,"tokens",64]',
      'read k.scale f16 ["tokens"]',
      'read v.codes u4 [2,"tokens",64]',
      'read v.scale f16 ["tokens"]',
      "write parts f32",
    ],
    ["read parts f32", "write fold f32 [2,2,1,64]"],
  ]);
});

Deno.test("attention over DecoQuant-4: 2 kernels; T_S leaves the token loop", async () => {
  const p = await program(decoquantB(4));
  deepEqual(p.structure.kernels.map((k) => k.skeleton), ["stream", "encode"]);
  deepEqual(buffersOf(p)[0], [
    "read q f32 [2,2,1,64]",
    "read k.small.values f16 [16,16]",
    'read k.large.codes u4 [2,"tokens",64]',
    'read k.large.scale f16 ["tokens"]',
    'read v.large.codes u4 [2,"tokens",64]',
    'read v.large.scale f16 ["tokens"]',
    "write parts f32",
  ]);
  deepEqual(buffersOf(p)[1], [
    "read parts f32",
    "read v.small.values f16 [16,16]",
    "write reshape f32 [2,2,1,64]",
  ]);
  const fired = new Set(p.structure.rules);
  equal(fired.has("factor-to-query") && fired.has("factor-out-of-fold"), true);
  // Packed words twice (K and V), their scales, q, T_S of K and of V; parts out and in again; the result.
  const tokens = 1024;
  const parts = 4 * (2 * 2 * (64 + 4));
  equal(
    p.bytesMoved({ tokens }),
    2 * (tokens * 128 / 2 + tokens * 2) + 2 * 512 + 2 * 1024 + 2 * parts,
  );
});

Deno.test("attention over every composition is one stream and its merge", async () => {
  const token = quantize({ bits: 4, per: "token", range: "symmetric" });
  const group = quantize({ bits: 2, per: 32, range: "asymmetric" });
  const unscaled = codebook({ levels: lloydMax(4), per: "token", scale: "none" });
  const codecs: Codec[] = [
    identity,
    f16,
    rtn(2),
    rtn(3),
    rtn(8),
    ...BITS.map((bits) => rtnGrouped(bits)),
    rtnGrouped(2, 32),
    decoquantA(4),
    decoquantB(2),
    perHead(pipe(mpo({ inner: 16 }), on("large", token), on("small", f16))),
    pipe(mpo({ channels: [4, 4, 4] }), on("site1", token)),
    pipe(hadamard(), on("values", group)),
    ...([1, 2, 3, 4] as const).flatMap((bits) =>
      (["token", 32] as const).map((per) =>
        codebook({ levels: lloydMax(bits), per, scale: "norm" })
      )
    ),
    pipe(rotate(), on("values", codebook({ levels: nf4, per: 32, scale: "absmax" }))),
    pipe(center(), on("values", pipe(rotate(), on("values", group)))),
    pipe(normalize(), on("direction", pipe(rotate(), on("values", unscaled)))),
    pipe(hadamard(), on("values", codebook({ levels: nf4, per: 32, scale: "absmax" }))),
    quantize({ bits: 4, per: "channel", range: "asymmetric" }),
    quantize({ bits: 8, per: "tensor", range: "symmetric" }),
  ];
  for (const codec of codecs) {
    for (const rows of [1, "n"]) {
      const p = await program(codec, rows);
      deepEqual(p.structure.kernels.map((k) => k.skeleton), ["stream", "encode"], codec.name);
    }
  }
});

Deno.test("attention over every listed scheme is two dispatches on a GPU, of three it may have", () => {
  const listed: readonly (readonly [string, Codec])[] = [
    ...(Object.keys(SCHEMES) as SchemeName[]).flatMap((name) =>
      WIDTHS[name].map((bits) => [`${name}(${bits})`, SCHEMES[name](bits)] as const)
    ),
    ...Object.entries(FORMATS),
  ];
  for (const [name, codec] of listed) {
    for (const rows of [1, "n"]) {
      const { steps } = lower({ out: attention(codec, rows) }, SKELETONS, WEBGPU_TARGET);
      deepEqual(steps.map(({ kernel }) => kernel.skeleton), ["stream", "encode"], name);
      for (const { kernel } of steps) {
        const floats = kernel.shared.reduce((n, a) => n + a.length, 0);
        ok(floats <= WEBGPU_TARGET.groupFloats, `${name}: ${floats} floats of group memory`);
      }
    }
  }
});

/** Attention, and what bounds its error: means of the error of V and of a function of row and token. */
const bounded = (codec: Codec, rows: number | string = 1): Record<string, Term> => {
  const v = cached(codec, "v", shape);
  const out = attention(codec, rows);
  if (out.tag !== "fold") throw new Error(`attention is a ${out.tag}`);
  const [scores] = out.args;
  const near = map("exp", map("min", boundOf(scores, { codes: true, machine: F32 }), 80));
  return {
    out,
    e: softmaxFold("k g i t, k t e -> k g i e", scores, boundOf(v, { codes: true, machine: F32 })),
    m: softmaxFold("k g i t, k g i t -> k g i", scores, map("sub", near, 1)),
  };
};

Deno.test("means over the same scores are one stream: weights once, each sum in its own place", async () => {
  const p = await compile(bounded(rtn(4)));
  deepEqual(buffersOf(p), [
    [
      "read q f32 [2,2,1,64]",
      'read k.codes u4 [2,"tokens",64]',
      'read k.scale f16 ["tokens"]',
      'read v.codes u4 [2,"tokens",64]',
      'read v.scale f16 ["tokens"]',
      "write parts f32",
    ],
    ["read parts f32", "write fold f32 [2,2,1,64]"],
    ["read parts f32", "write broadcast f32 [2,2,1,64]"],
    ["read parts f32", "write fold f32 [2,2,1]"],
  ]);
  // The error of V is the same for all channels of a token: a sum of it is one number a row.
  const parts = 4 * (2 * 2 * (64 + 4));
  const alone = (await compile({ out: attention(rtn(4)) })).bytesMoved({ tokens: 1024 });
  equal(p.bytesMoved({ tokens: 1024 }), alone + 2 * parts + 4 * (2 * 2 * 64 + 2 * 2));
});

Deno.test("means over the same scores are one stream for every codec, target and number of rows", () => {
  const token = quantize({ bits: 4, per: "token", range: "symmetric" });
  const codecs: Codec[] = [
    identity,
    f16,
    rtn(2),
    rtnGrouped(4),
    rtnGrouped(2, 32),
    decoquantA(4),
    decoquantB(4),
    pipe(mpo({ channels: [4, 4, 4] }), on("site1", token)),
    quantize({ bits: 4, per: "channel", range: "asymmetric" }),
  ];
  for (const codec of codecs) {
    for (const rows of [1, "n"]) {
      for (const target of [WASM_TARGET, WEBGPU_TARGET]) {
        const { plans } = lower(bounded(codec, rows), SKELETONS, target);
        const streams = plans.filter((p) => p.skeleton === "stream");
        const sums = streams[0].roots.map((t) => t.shape);
        deepEqual(streams.length, 1, `${codec.name}: ${sums.join(" | ")}`);
      }
    }
  }
});

Deno.test("scales of groups of channels weigh once a group, not once a channel", () => {
  const { plans } = lower(bounded(rtnGrouped(2, 32)), SKELETONS, WASM_TARGET);
  const [{ roots }] = plans.filter((p) => p.skeleton === "stream");
  deepEqual(roots.map((t) => t.shape), [[2, 2, 1, 2, 32], [2, 2, 1, 2], [2, 2, 1]]);
});

Deno.test("attention over codes of any width multiplies integers, of keys and of values", () => {
  for (const channels of [64, 128]) {
    const dots = BITS.map((bits) => {
      const [k, v] = ["k", "v"].map((name) =>
        cached(rtnGrouped(bits), name, [1, "tokens", channels])
      );
      const out = attend({ q: input("q", [1, 1, 1, channels], "f32"), k, v });
      const { steps } = lower({ out }, SKELETONS, WASM_TARGET);
      return emitWat(steps.map((s) => s.kernel)).split("i32x4.dot_i16x8_s").length - 1;
    });
    // Keys of four tokens, eight at a time; values of four, of what lies in one vector but 32 at least and 64
    // at most. Both once more for the last ones of a part.
    const written = BITS.map((bits) => bits < 4 ? 64 : 32);
    deepEqual(dots, written.map((n) => 2 * (4 * channels / 8 + 4 * n / 8)), `${channels} channels`);
  }
});

Deno.test("values that another kernel stored are read as stored, not made again", async () => {
  const x = input("x", [1, "tokens", 64], "f32");
  const top = foldOver("max", "max", x, [2]);
  const v = map("mul", x, broadcast(top, x.shape, [0, 1]));
  const out = attend({
    q: input("q", [1, 1, 2, 16], "f32"),
    k: input("k", [1, "tokens", 16], "f32"),
    v,
  });
  // The large product stores v.
  const product = contract("h t e, e n -> h t n", v, input("w", [64, 1024], "f32"));
  const stream = (await compile({ out, product })).structure.kernels
    .find((k) => k.skeleton === "stream")!;
  deepEqual([...stream.buffers], [
    "read q f32 [1,1,2,16]",
    'read k f32 [1,"tokens",16]',
    'read map f32 [1,"tokens",64]',
    "write parts f32",
  ]);
});

Deno.test("codebooks are looked up in registers: bytes on a CPU, choices on a GPU", async () => {
  const codec = codebook({ levels: lloydMax(4), per: "token", scale: "norm" });
  const p = await program(codec);
  deepEqual(buffersOf(p)[0], [
    "read q f32 [2,2,1,64]",
    'read k.codes u4 [2,"tokens",64]',
    'read k.scale f16 [2,"tokens"]',
    'read v.codes u4 [2,"tokens",64]',
    'read v.scale f16 [2,"tokens"]',
    "write parts f32",
  ]);
  const texts = [WASM_TARGET, WEBGPU_TARGET].map((target) =>
    lower({ out: attention(codec) }, SKELETONS, target).steps.map((s) => s.kernel)
  );
  // Two bytes of sixteen integers: keys of four tokens, values of four and the 32 channels of a vector, for
  // both rows; and the last ones of a part again.
  const wat = emitWat(texts[0]);
  const times = (op: string): number => wat.split(op).length - 1;
  equal(times("i8x16.relaxed_swizzle"), 2 * 2 * (4 * 64 / 16 + 4 * 32 / 16));
  equal(times("i32x4.dot_i16x8_s"), 2 * (2 * 4 * 64 / 8 + 2 * 4 * 32 / 8));
  ok(texts[1].every((kernel) => !emitWgsl(kernel).includes("array<f32, 16>")));
});

Deno.test("attention over lathe: rotations and means leave the token loop, of keys and of values", async () => {
  const p = await program(lathe(3));
  deepEqual(p.structure.kernels.map((k) => k.skeleton), ["stream", "encode"]);
  const fired = new Set(p.structure.rules);
  deepEqual(
    ["factor-to-query", "factor-out-of-fold", "sum-out-of-fold"].filter((r) => !fired.has(r)),
    [],
  );
  // Σ p·centroids, and Σ p that the mean of the values is weighed by.
  const { plans } = lower({ out: attention(lathe(3)) }, SKELETONS, WASM_TARGET);
  deepEqual(plans[0].roots.map((t) => t.shape), [[2, 2, 1, 64], [2, 2, 1]]);
});

Deno.test("attention over KIVI: one stream, a piece for the codes and one for the tail", async () => {
  const { k, v } = kivi(2, 32, 96);
  const out = attend({
    q: input("q", [2, 2, 1, 64], "f32"),
    k: cached(k, "k", shape),
    v: cached(v, "v", shape),
  });
  const p = await compile({ out });
  ok(p.structure.rules.includes("concat-in-fold"));
  deepEqual(buffersOf(p)[0], [
    "read q f32 [2,2,1,64]",
    'read k.packed.codes u2 [2,"tokens[:0-0/96]",64]',
    'read k.packed.scale f16 [2,"tokens[:0-0/96]/32",64]',
    'read k.packed.min f16 [2,"tokens[:0-0/96]/32",64]',
    'read v.packed.codes u2 [2,"tokens[:0-0/96]",64]',
    'read v.packed.scale f16 [2,"tokens[:0-0/96]",2]',
    'read v.packed.min f16 [2,"tokens[:0-0/96]",2]',
    'read k.tail f16 [2,"tokens[0-0/96:]",64]',
    'read v.tail f16 [2,"tokens[0-0/96:]",64]',
    "write parts f32",
  ]);
});

Deno.test("encoding a codebook is one pass as well", async () => {
  for (const keepNorm of [false, true]) {
    const codec = codebook({ levels: lloydMax(4), per: "token", scale: "norm", keepNorm });
    const p = await compile({ ...codec.encode(input("x", shape, "f32")) });
    deepEqual(p.structure.kernels.map((k) => k.skeleton), ["encode"]);
  }
});

Deno.test("a rotation of many query heads is made where it is read: two dispatches on a GPU", () => {
  for (
    const [dim, codec] of [[64, turboquant(2)], [128, turboquant(4)], [128, decoquantB(4)]] as const
  ) {
    const of = [8, "tokens", dim] as const;
    const out = attend({
      q: input("q", [8, 4, 1, dim], "f32"),
      k: cached(codec, "k", of),
      v: cached(codec, "v", of),
    });
    const { plans } = lower({ out }, SKELETONS, WEBGPU_TARGET);
    deepEqual(plans.map((p) => p.skeleton), ["stream", "encode"], codec.name);
  }
});

Deno.test("encoding a grouped quantizer is one pass: statistics, codes and whole words", async () => {
  const p = await compile({ ...rtnGrouped(4).encode(input("x", shape, "f32")) });
  deepEqual(buffersOf(p), [[
    'read x f32 [2,"tokens",64]',
    'write reshape u4 [2,"tokens",64]',
    'write cast f16 [2,"tokens",1]',
    'write cast f16 [2,"tokens",1]',
  ]]);
});

Deno.test("generated text of attention over DecoQuant-4 is pinned", async (t) => {
  const out = attention(decoquantB(4));
  const gpu = lower({ out }, SKELETONS, WEBGPU_TARGET);
  await t.assertSnapshot(gpu.steps.map((s) => emitWgsl(s.kernel)).join("\n"));
  const cpu = lower({ out }, SKELETONS, WASM_TARGET);
  await t.assertSnapshot(emitWat(cpu.steps.map((s) => s.kernel)));
});

Deno.test("kernels of attention with means that bound it are pinned", async (t) => {
  for (const codec of [rtn(4), rtnGrouped(4), decoquantB(4)]) {
    const p = await compile(bounded(codec, "n"));
    await t.assertSnapshot(p.structure.kernels, codec.name);
  }
});
