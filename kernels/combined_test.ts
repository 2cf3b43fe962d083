/**
 * What attention over combined codecs and over the schemes of papers compiles to: one stream and its merge.
 */
import { deepEqual, ok } from "node:assert/strict";
import {
  aqua,
  attend,
  byHead,
  byToken,
  cached,
  center,
  certify,
  codebook,
  type Codec,
  codecBound,
  compile,
  contract,
  decoquantB,
  eoptshrink,
  f16,
  F32,
  FORMATS,
  fp8,
  gear,
  grain,
  higgs,
  input,
  joinHeads,
  kept,
  kvarn,
  kvquant,
  kvtc,
  lathe,
  lloydMax,
  mxfp4,
  nvfp4,
  on,
  oscar,
  outliers,
  pca,
  polarquant,
  qjl,
  quantize,
  reorder,
  residual,
  type Rope,
  rotate,
  type SchemeName,
  SCHEMES,
  smoothed,
  snapkv,
  split,
  svdq,
  WIDTHS,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { hoist } from "../compiler/constants.ts";
import type { Plan } from "../compiler/kernel.ts";
import { lower } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { SKELETONS } from "./mod.ts";

const shape = [2, "tokens", 64] as const;

const attention = (codec: Codec, rows: number | string = 1): ReturnType<typeof attend> =>
  attend({
    q: input("q", [2, 2, rows, 64], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
  });

const skeletons = async (codec: Codec, rows: number | string): Promise<string[]> => {
  const { structure } = await compile({ out: attention(codec, rows) });
  return structure.kernels.map((k) => k.skeleton);
};

const axes = pipe(pca({ rank: 4 }), on("coefficients", f16), on("basis", f16));

/** The identity of two heads of 64. */
const ONE = Array.from(
  { length: 128 },
  (_, i) => Array.from({ length: 128 }, (_, j) => +(i === j)),
);

/** Keys of two neighbours turned together. */
const TURNED: Rope = { base: 1e4, pairs: "neighbours" };

Deno.test("attention over every combination and scheme is one stream and its merge", async () => {
  const token = quantize({ bits: 4, per: "token", range: "symmetric" });
  const group = quantize({ bits: 2, per: 32, range: "asymmetric" });
  const unscaled = codebook({ levels: lloydMax(4), per: "token", scale: "none" });
  const codecs: Codec[] = [
    fp8("e4m3"),
    gear(2),
    eoptshrink(2),
    kvquant(3),
    kvquant(3, { rope: TURNED }),
    lathe(2, { rope: TURNED }),
    higgs,
    qjl,
    polarquant,
    kvarn(4),
    smoothed(4),
    oscar("k"),
    svdq(),
    joinHeads(grain({ name: "one", to: [ONE], back: [ONE] }, [64, 32, 32, 0])),
    joinHeads(kvtc({ name: "one", to: [ONE], back: [ONE] }, [64, 32, 32, 0])),
    mxfp4(),
    nvfp4,
    residual(group, group),
    residual(axes, group),
    residual(token, axes),
    split([16, 48], [token, f16]),
    pipe(center(), on("values", pipe(rotate(), on("values", split([32, 32], [token, unscaled]))))),
    pipe(
      reorder(Array.from({ length: 64 }, (_, i) => 63 - i)),
      on("values", split([8, 56], [f16, token])),
    ),
    outliers({ count: 2 })(residual(group, axes)),
  ];
  for (const codec of codecs) {
    for (const rows of [1, "n"]) {
      deepEqual(await skeletons(codec, rows), ["stream", "encode"], codec.name);
    }
  }
});

Deno.test("attention over keys less a mean that turns: codes meet integers, the mean meets the query", () => {
  // Angles are a table that lies beside the program, as the compiler has it.
  const { outputs } = hoist({ out: attention(lathe(2, { rope: TURNED })) });
  const { plans } = lower(outputs, SKELETONS, WASM_TARGET);
  const contracts = (of: Plan["moving"] = new Map()) =>
    [...of.keys()].flatMap((t) => t.tag === "contract" ? [t] : []);
  // A token meets its codes with the query, in integers.
  deepEqual(contracts(plans[0].moving).map((t) => t.args[0].dtype), ["i16"]);
  // A cosine and a sine of each pair, for half a run, with two numbers of it that are those of the run.
  deepEqual(contracts(plans[0].paced).map((t) => t.shape.at(-1)), [128, 128]);
  deepEqual(contracts(plans[0].paced).map((t) => t.args[0].shape.at(-1)), [32, 32]);
});

Deno.test("attention over a known number of tokens takes the rules and kernels of any number", () => {
  const made = (codec: Codec, tokens: number | string): string[] => {
    const over = [2, tokens, 64];
    const [k, v] = ["k", "v"].map((name) => cached(codec, name, over));
    const out = attend({ q: input("q", [2, 2, 1, 64], "f32"), k, v });
    const { plans, trace } = lower({ out }, SKELETONS, WASM_TARGET);
    return [...plans.map((p) => p.skeleton), ...trace.map((step) => step.rule).sort()];
  };
  const all = Object.entries(SCHEMES).map(([name, make]) => make(WIDTHS[name as SchemeName][0]));
  for (const codec of [...all, ...Object.values(FORMATS)]) {
    deepEqual(made(codec, 512), made(codec, "tokens"), codec.name);
  }
  ok(made(decoquantB(4), 512).slice(0, 2).join() === "stream,encode");
});

Deno.test("attention over ranges, residuals and outliers: each sum by itself, one stream", () => {
  const two = quantize({ bits: 2, per: "token", range: "asymmetric" });
  const sums = (codec: Codec): string[] => {
    const { plans } = lower({ out: attention(codec) }, SKELETONS, WASM_TARGET);
    return plans[0].roots.map((t) => t.shape.join());
  };
  const ranges = split([16, 48], [f16, two]);
  deepEqual(sums(pipe(rotate(), on("values", ranges))), ["2,2,1,16", "2,2,1,48"]);
  // Codes and outliers together; coefficients apart, their basis after the fold.
  deepEqual(sums(outliers({ count: 2 })(residual(two, axes))), ["2,2,1,64", "2,2,1,64", "2,2,1,4"]);
});

Deno.test("attention over tokens that are kept is one stream, which has nothing of the others to read", async () => {
  const four = quantize({ bits: 4, per: 32, range: "asymmetric" });
  const two = quantize({ bits: 2, per: 32, range: "asymmetric" });
  const over = async (codec: Codec) => {
    const [k, v] = ["k", "v"].map((name) => kept(codec, name, shape));
    const q = input("q", [2, 2, 1, 64], "f32");
    return await compile({ out: attend({ q, k, v }) });
  };
  const all = await over(four);
  const few = await over(snapkv({ keep: 0.25 }, four).k);
  const mixed = await over(byToken({}, [{ share: 0.25 }], [four, two]));
  for (const p of [few, mixed]) {
    deepEqual(p.structure.kernels.map((k) => k.skeleton), ["stream", "encode"]);
  }
  // Codes and scales of the tokens that are kept, and nothing that says which they are.
  const [moved, whole] = [few, all].map((p) => p.bytesMoved({ tokens: 16384 }));
  ok(moved < (0.25 * (16384 - 64) + 64) / 16384 * whole * 1.05, `${moved} of ${whole} bytes`);
});

Deno.test("attention over heads of two codecs is a stream for each, of its own heads", () => {
  const [four, two] = ([4, 2] as const).map((bits) =>
    quantize({ bits, per: 32, range: "asymmetric" })
  );
  const codec = byHead((head) => head === 0 ? four : two);
  const { plans } = lower({ out: attention(codec) }, SKELETONS, WASM_TARGET);
  const streams = plans.flatMap(({ roots: [t] }) =>
    t.tag === "fold" && t.monoid === "softmax" ? [t] : []
  );
  deepEqual(streams.map((t) => t.shape[0]), [1, 1]);
  ok(streams.every((t) => t.tag === "fold" && t.weights === 16));
});

Deno.test("attention over what a prediction leaves reads both caches in one stream", async () => {
  const before = cached(higgs, "before", shape);
  const map = input("map", [64, 64], "f32");
  const codec = aqua(contract("h t d, d e -> h t e", before, map));
  const p = await compile({ out: attention(codec) });
  deepEqual(p.structure.kernels.map((k) => k.skeleton), ["stream", "encode"]);
  ok(
    p.structure.rules.includes("factor-to-query") &&
      p.structure.rules.includes("factor-out-of-fold"),
  );
});

Deno.test("a mean that turns has a certificate, of a table with more numbers than a call takes", async () => {
  const codec = lathe(2, { rope: TURNED });
  const x = input("x", shape, "f32");
  const parts = codec.encode(x);
  const norm = codecBound(codec, x, parts, { machine: F32, norm: [2] });
  const p = await compile({ norm, back: codec.decode(parts, shape) });
  const values = Array.from({ length: 2 * 20 * 64 }, (_, i) => 3 + Math.sin(i * i));
  const { norm: bounds, back } = await p.values({ x: values }, { tokens: 20 });
  bounds.forEach((bound, token) => {
    const own = values.slice(64 * token, 64 * (token + 1));
    const error = Math.hypot(...own.map((y, i) => y - back[64 * token + i]));
    ok(error <= bound && bound < Math.hypot(...own), `${error}, ${bound}`);
  });
});

Deno.test("a certificate of HIGGS compiles: a term that many others share is looked at once", async () => {
  const x = input("x", shape, "f32");
  const p = await certify({ out: higgs.decode(higgs.encode(x), shape) });
  const values = Array.from({ length: 2 * 3 * 64 }, (_, i) => Math.sin(i * i));
  const { out } = await p.values({ x: values }, { tokens: 3 });
  ok(out.bound.every((b, i) => Math.abs(out.value[i] - values[i]) <= b));
});

Deno.test("attention over two sketches of a direction: their rotations and the norm leave the token loop", () => {
  const { plans } = lower({ out: attention(qjl) }, SKELETONS, WASM_TARGET);
  deepEqual(plans[0].roots.map((t) => t.shape.join()), ["2,2,1,64", "2,2,1,64"]);
});

Deno.test("attention over scales of channels multiplies integers, of keys and of values", () => {
  const { plans } = lower({ out: attention(kvquant(4)) }, SKELETONS, WASM_TARGET);
  const [codes, , marks] = plans[0].roots;
  ok(codes.tag === "fold" && codes.weights === 16);
  ok(marks.tag === "fold" && marks.weights === undefined);
});
