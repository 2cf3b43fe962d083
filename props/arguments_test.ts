/** Arguments that no type checked: every door of the language says what it got, and what it takes. */
import { match, ok, rejects, throws } from "node:assert/strict";
import {
  bitsOf,
  cached,
  cast,
  center,
  certify,
  codebook,
  compile,
  type Device,
  hadamard,
  input,
  kivi,
  map,
  mpo,
  openCache,
  openWasm,
  openWebgpu,
  outliers,
  pca,
  preRope,
  quantize,
  rtn,
  tryCompile,
} from "../mod.ts";
import { isLeft, isRight } from "../fp.ts";

const SHAPE = [2, "tokens", 64] as const;
const x = input("x", ["n"], "f32");

/** As a caller without types would: what is wrong, and what must be said of it. */
// deno-lint-ignore no-explicit-any
const wrong = (given: unknown): any => given;

const BUILDING: readonly (readonly [call: () => unknown, name: string, says: RegExp])[] = [
  [() => input("x", ["n"], wrong("f64")), "ValueError", /input "x": dtype is f64, not one of f32/],
  [() => input("", ["n"], "f32"), "ValueError", /input "": of \["n"\] has no name/],
  [() => cast(x, wrong("u5")), "ValueError", /cast: dtype is u5, not one of/],
  [
    () => preRope({ base: 1e4, pairs: wrong("both") }),
    "ValueError",
    /pairs are both, not halves or neighbours/,
  ],
  [() => preRope({ base: 0, pairs: "halves" }), "ValueError", /the base 0 is no positive number/],
  [() => center({ within: pca() }), "ValueError", /center: within pca, which has other parts/],
  [() => map(wrong("tanh"), x), "ValueError", /map: tanh is not one of add, sub/],
  [() => map(wrong("constructor"), x), "ValueError", /map: constructor is not one of/],
  ...["row", null, 0, -4, 1.5, { tokens: 0 }].map((per) =>
    [
      () => quantize({ bits: 4, per: wrong(per), range: "symmetric" }),
      "ValueError",
      /quantize: per is .*, not "tensor", "token", "channel"/,
    ] as const
  ),
  [
    () => bitsOf(codebook({ levels: [0, 1], per: 7, scale: "none" }), SHAPE),
    "ShapeError",
    /codebook: group 7 does not divide the last axis of \[2,"tokens",64\]/,
  ],
  [
    () => quantize({ bits: 4, per: "token", range: wrong("both") }),
    "ValueError",
    /quantize: range is both, not one of symmetric/,
  ],
  [
    () => codebook({ levels: [0, 1], per: "token", scale: wrong("max") }),
    "ValueError",
    /codebook: scale is max, not one of absmax/,
  ],
  [() => mpo(wrong({})), "ValueError", /mpo: neither inner nor channels is given/],
  [() => mpo({ inner: -8 }), "ValueError", /mpo\(inner -8.*-8 channels are no positive integer/],
  [() => cached(wrong(undefined), "k", SHAPE), "ValueError", /"k": wants a codec, got undefined/],
  [() => cached(wrong(kivi(2)), "k", SHAPE), "ValueError", /"k": .* got an object of k, v/],
  [() => cached(wrong(rtn), "k", SHAPE), "ValueError", /"k": .* got the function rtn: call it/],
  [() => outliers({ count: 2 })(wrong(hadamard)), "ValueError", /the function hadamard: call it/],
  [() => bitsOf(wrong(7), SHAPE), "ValueError", /bitsOf: wants a codec, got 7/],
  [() => bitsOf(rtn(4), SHAPE, { token: 9 }), "ValueError", /size token is of no dim of \[2,/],
  [() => bitsOf(rtn(4), SHAPE, { tokens: 0 }), "ValueError", /size tokens is 0, not a positive/],
];

Deno.test("arguments: what the language is built of", () => {
  for (const [call, name, message] of BUILDING) throws(call, { name, message });
});

const COMPILING: readonly (readonly [outputs: unknown, options: unknown, says: RegExp])[] = [
  [{ y: undefined }, {}, /outputs: "y" is undefined, not a term/],
  [{ y: 3 }, {}, /outputs: "y" is number, not a term/],
  [{ x }, { schedule: { chunks: 64 } }, /schedule: chunks is not one of chunk,/],
  [{ x }, { schedule: { chunk: 0 } }, /schedule: chunk is 0, not a positive integer/],
  [{ x }, { schedule: { rows: 3 } }, /schedule: rows is 3, not a positive multiple of 2/],
  [{ x }, { schedule: { fixed: 12 } }, /schedule: fixed is 12, not 16, 8 or false/],
  [{ x }, { device: "cuda" }, /cuda: is none of eval, wasm, webgpu/],
];

Deno.test("arguments: what a compiler is asked", async () => {
  for (const [outputs, options, says] of COMPILING) {
    const result = await tryCompile(wrong(outputs), wrong(options));
    ok(isLeft(result));
    match(result.left.message, says);
  }
});

Deno.test("arguments: what a program is given", async () => {
  const program = await compile({ y: map("add", x, 1) });
  for (const given of ["abcd", null, 5, true]) {
    await rejects(program.values({ x: wrong(given) }), {
      name: "InputError",
      message: /input "x": is .*, neither a tensor nor an array of numbers/,
    });
  }
  // Names that every object knows are names like others.
  const named = await compile({ y: map("add", input("constructor", ["toString"], "f32"), 1) });
  await rejects(named.values({}), { name: "InputError", message: /"constructor": no value/ });
  const { y } = await named.values({ constructor: wrong([1, 2]) });
  ok(y.join() === "2,3");
});

Deno.test("arguments: what a cache is opened and fed with", async () => {
  await rejects(openCache(wrong(kivi(2)), [2, 64]), { name: "ValueError", message: /of k, v/ });
  await rejects(openCache(rtn(4), [2, 64], { capacity: -1 }), {
    name: "InputError",
    message: /capacity": is -1/,
  });
  const cache = await openCache(rtn(4), [2, 64]);
  await rejects(cache.append(new Float32Array(128).fill(NaN)), {
    name: "InputError",
    message: /"append": value 0 is NaN/,
  });
  cache.dispose();
});

Deno.test("arguments: a device that was closed", async () => {
  const devices: Device[] = [openWasm(), openWasm({ threads: 2 })];
  const gpu = await openWebgpu({ software: true });
  if (isRight(gpu)) devices.push(gpu.right);
  for (const device of devices) {
    const program = await compile({ y: map("add", x, 1) }, { device });
    device.close();
    await rejects(program.values({ x: [1, 2] }), { name: "DeviceError", message: /was closed/ });
    const again = await tryCompile({ y: map("mul", x, 3) }, { device });
    ok(isLeft(again) && /was closed/.test(again.left.message));
  }
});

Deno.test("arguments: a name of no output does not compile", async () => {
  const program = await compile({ y: map("add", x, 1) });
  const values = await program.values({ x: [1] });
  ok(values.y.length === 1);
  // @ts-expect-error there is y, and no z
  ok(values.z === undefined);
  const { y } = await program.run({ x: [1] });
  y.dispose();
  const certified = await certify({ y: map("rint", x) });
  // @ts-expect-error there is y, and no z
  ok((await certified.values({ x: [1.25] })).z === undefined);
  // Names that are known when it runs only are any.
  const { codes } = await (await compile({ ...rtn(4).encode(input("x", SHAPE, "f32")) }))
    .values({ x: new Float32Array(128) });
  ok(codes.length === 128);
});
