/**
 * kvfold: tensor decomposition, quantization and attention as composable expressions, compiled to
 * fused kernels.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, quantize } from "kvfold";
 * const scheme = quantize({ bits: 4, per: "token", range: "symmetric" });
 * ok(bitsOf(scheme, ["heads", "tokens", 64]) === 4.25);
 * ```
 * @module
 */
import { type Either, isLeft, isRight, left, right } from "./fp.ts";
import type { Certify } from "./compiler/bounds.ts";
import { type BoundedCache, boundedCache } from "./compiler/bounded.ts";
import { type Cache, cacheOf } from "./compiler/cache.ts";
import { type Certified, certified } from "./compiler/certify.ts";
import type { Codec } from "./dsl/codec/codec.ts";
import type { Evicting } from "./dsl/codec/evicting.ts";
import type { Compile } from "./compiler/encoders.ts";
import { type GrowingCache, growingCache } from "./compiler/growing.ts";
import { type FixedBits, SCHEDULE, type Schedule } from "./compiler/kernel.ts";
import { CompileError, DeviceError, InputError } from "./compiler/errors.ts";
import type { Outputs } from "./compiler/pipeline.ts";
import { compileOn, type Program } from "./compiler/program.ts";
import { type Given, refusedOutputs } from "./compiler/bind.ts";
import type { Sizes } from "./dsl/core/shape.ts";
import { type Candidates, chosen, defaultsOf, refusedSchedule } from "./compiler/schedule.ts";
import { type Tuned, tunedOf, tuneOn } from "./compiler/tune.ts";
import type { Device, DeviceName } from "./compiler/runtime/device.ts";
import { evalProgram } from "./compiler/runtime/eval.ts";
import { openDevice } from "./compiler/runtime/open.ts";
import { SKELETONS } from "./kernels/mod.ts";

export * from "./dsl/core/build.ts";
export * from "./dsl/core/dtype.ts";
export * from "./dsl/core/errors.ts";
export * from "./dsl/core/layout.ts";
export * from "./dsl/core/routines.ts";
export * from "./dsl/core/pieces.ts";
export { MASKED } from "./dsl/core/monoid.ts";
export type { Op, OpInfo } from "./dsl/core/ops.ts";
export type { Counted, Place, Portion, Sizes } from "./dsl/core/dims.ts";
export type {
  Common,
  Dim,
  Labels,
  MatrixRoutine,
  MonoidName,
  Nodes,
  RoutineName,
  Shape,
  Tag,
  Term,
} from "./dsl/core/term.ts";
export * from "./dsl/codec/codec.ts";
export * from "./dsl/attention/attend.ts";
export * from "./dsl/attention/salience.ts";
export {
  type Calibration,
  calibrationOf,
  type Fitted,
  nearest,
  nearestGroups,
  type Shared,
  type WeightScheme,
} from "./dsl/weights/scheme.ts";
export * from "./dsl/codec/mod.ts";
export * from "./dsl/decompose/mod.ts";
export * from "./dsl/quantize/mod.ts";
export type { Grid } from "./dsl/quantize/grid.ts";
export * from "./dsl/schemes/papers.ts";
export { type Env, evalAll, evaluate, type Value } from "./dsl/read/eval.ts";
export { boundOf, normBoundOf } from "./dsl/bound/bound.ts";
export { idealOf, type Known } from "./dsl/bound/ideal.ts";
export { varianceOf } from "./dsl/expected/expected.ts";
export { gradient, type GradientOptions, pullback, type Pulled } from "./dsl/grad/gradient.ts";
export { print, printAll } from "./dsl/read/print.ts";
export { F32, F64, type Machine } from "./dsl/read/machine.ts";
export { type Rounded, rounding } from "./dsl/read/rounding.ts";
export { CompileError, DeviceError, type FixedBits, InputError, SCHEDULE, type Schedule };
export { type Choice, choose } from "./compiler/adapt.ts";
export { TierError } from "./compiler/errors.ts";
export type { BoundedCache } from "./compiler/bounded.ts";
export type { GrowingCache } from "./compiler/growing.ts";
export type { PartWords, Sealed } from "./compiler/sealed.ts";
export * from "./compiler/tier.ts";
export type { Candidates, Given, Tuned };
export { inputsOf } from "./compiler/bind.ts";
export type { Certificate, Certified } from "./compiler/certify.ts";
export type { Structure } from "./compiler/explain.ts";
export type { Program } from "./compiler/program.ts";
export { type Recording, replay } from "./compiler/recording.ts";
export { type Tensor, upload } from "./compiler/runtime/tensor.ts";
export type * from "./compiler/runtime/device.ts";
export type { Outputs } from "./compiler/pipeline.ts";
export type { Block, Kernel, Size, Stmt } from "./compiler/ir/stmt.ts";
export type { Arr, Bin, Expr, Ty, Un } from "./compiler/ir/expr.ts";
export type { Slot, Step, Target } from "./compiler/kernel.ts";
export { openDevice, wasm } from "./compiler/runtime/open.ts";
export { openWasm } from "./compiler/runtime/wasm.ts";
export { openWebgpu } from "./compiler/runtime/webgpu.ts";
export type { WasmDevice, WasmOptions } from "./compiler/runtime/wasm.ts";
export type { GpuOptions, WebgpuDevice } from "./compiler/runtime/webgpu.ts";

/** How to compile. */
export interface Options {
  /** A device or the name of one; the embedded one if not given. */
  readonly device?: Device | DeviceName;
  /** Numbers a schedule may change; every choice is correct. */
  readonly schedule?: Partial<Schedule>;
}

type Compiled = Either<CompileError | DeviceError, Program>;

/** Programs of a device that are kept for when they are compiled again. */
const KEPT = 64;
const kept = new WeakMap<Device, Cache<Compiled>>();

/** Programs of a device: terms are interned, so equal outputs have equal numbers, which are used once. */
const programsOf = (device: Device): Cache<Compiled> => {
  const known = kept.get(device);
  if (known !== undefined) return known;
  const cache = cacheOf<Compiled>(KEPT, isRight);
  kept.set(device, cache);
  return cache;
};

const compiled = async (
  outputs: Outputs,
  { device: asked = "wasm", schedule }: Options,
  certify?: Certify,
): Promise<Compiled> => {
  const found = typeof asked === "string" ? await openDevice(asked) : right(asked);
  if (isLeft(found)) return found;
  const device = found.right;
  const refused = refusedOutputs(outputs) ?? refusedSchedule(schedule ?? {});
  if (refused !== undefined) return left(refused);
  const choice = chosen(
    schedule ?? {},
    certify === undefined ? tunedOf(outputs, device) : {},
    defaultsOf(device.target),
  );
  const terms = Object.entries(outputs).map(([name, term]) => [name, term.id]);
  return programsOf(device)(
    JSON.stringify([terms, choice, certify]),
    async () =>
      device.name === "eval"
        ? evalProgram(outputs, certify)
        : await compileOn(outputs, device, SKELETONS, choice, certify),
  );
};

/** Compiles, with the error as a value. */
export const tryCompile = <O extends Outputs>(
  outputs: O,
  options: Options = {},
): Promise<Either<CompileError | DeviceError, Program<keyof O & string>>> =>
  compiled(outputs, options);

/**
 * Compiles outputs to fused kernels. The same outputs for the same device and schedule are compiled
 * once: asked again, the same program comes back.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { compile, input, map } from "kvfold";
 * const x = input("x", ["n"], "f32");
 * const program = await compile({ y: map("mul", x, 2) });
 * const { y } = await program.values({ x: [1, 2, 3] });
 * ok(y.join() === "2,4,6");
 * ```
 */
export const compile = async <O extends Outputs>(
  outputs: O,
  options: Options = {},
): Promise<Program<keyof O & string>> => {
  const result = await tryCompile(outputs, options);
  if (isLeft(result)) throw result.left;
  return result.right;
};

/** How to tune. */
export interface TuneOptions extends Options {
  /** What the program is timed on: of the sizes and on the device that it will see. */
  readonly inputs: Readonly<Record<string, Given>>;
  /** Sizes that inputs do not determine. */
  readonly sizes?: Sizes;
  /** Choices of the numbers to try; those that change no result by default. A given number is not tried. */
  readonly candidates?: Candidates;
  /** A folder that keeps what was found for processes to come; none if not given. */
  readonly folder?: string;
}

/**
 * Times schedules of a program on its device and remembers the best by program and device: from then on
 * {@link compile} takes it for what it is not given, and `explain()` says which numbers were tuned. What is
 * remembered, here or in the folder, is not timed again.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { attend, compile, input, tune } from "kvfold";
 * const shape = [1, "tokens", 8] as const;
 * const outputs = {
 *   out: attend({
 *     q: input("q", [1, 1, 1, 8], "f32"),
 *     k: input("k", shape, "f32"),
 *     v: input("v", shape, "f32"),
 *   }),
 * };
 * const [k, v] = [new Float32Array(512), new Float32Array(512)];
 * const { from } = await tune(outputs, {
 *   inputs: { q: new Float32Array(8), k, v },
 *   candidates: { chunk: [32, 64] },
 * });
 * ok(from === "measured");
 * ok((await compile(outputs)).explain().includes("(tuned)"));
 * ```
 */
export const tune = async (
  outputs: Outputs,
  { inputs, sizes, candidates, folder, ...options }: TuneOptions,
): Promise<Tuned> => {
  const { device } = await compile(outputs, options);
  const given = options.schedule ?? {};
  const start = { ...defaultsOf(device.target), ...given };
  if (device.name === "eval") return { schedule: {}, from: "measured" };
  return tuneOn(
    outputs,
    device,
    given,
    start,
    async (schedule) => {
      const program = await compile(outputs, { device, schedule });
      return { text: program.text, program };
    },
    { inputs, sizes, candidates, folder },
  );
};

/** How to open a cache. */
export interface CacheOptions extends Options {
  /** Tokens that there is room for from the start; 1024 if not given. */
  readonly capacity?: number;
}

/**
 * Opens an empty cache that grows, of tensors `[heads, tokens, channels]` stored by a codec
 * (`compiler/growing.ts`). A codec that cannot take tokens as they come is a `ValueError`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { attend, cached, compile, input, openCache, rtnGrouped, window } from "kvfold";
 * const cache = await openCache(window({ tail: 8 }, rtnGrouped(4)), [2, 64]);
 * const x = cached(cache.codec, "x", cache.shape);
 * const program = await compile({ out: attend({ q: input("q", [2, 1, 1, 64], "f32"), k: x, v: x }) });
 * for (let token = 0; token < 20; token++) {
 *   await cache.append(Array.from({ length: 2 * 64 }, (_, i) => Math.sin(i + token)));
 *   const { out } = await program.values({ q: new Float32Array(2 * 64), ...cache.parts("x") });
 *   ok(out.length === 2 * 64);
 * }
 * ok(cache.tokens() === 20);
 * cache.dispose();
 * ```
 */
export const openCache = async (
  codec: Codec,
  [heads, channels]: readonly [heads: number, channels: number],
  { device: asked = "wasm", schedule, capacity = 1024 }: CacheOptions = {},
): Promise<GrowingCache> => {
  const { device, make } = await makerOn(asked, schedule);
  return await growingCache(make, device, codec, heads, channels, capacity);
};

/** The device that is asked for, and what compiles for it. */
const makerOn = async (
  asked: Device | DeviceName,
  schedule?: Partial<Schedule>,
): Promise<{ readonly device: Device; readonly make: Compile }> => {
  const found = typeof asked === "string" ? await openDevice(asked) : right(asked);
  if (isLeft(found)) throw found.left;
  const device = found.right;
  const make: Compile = (outputs) =>
    compile(outputs, { device, ...schedule === undefined ? {} : { schedule } });
  return { device, make };
};

/**
 * Opens an empty cache of bounded memory, of keys and values `[heads, n, channels]` of one layer: as many tokens
 * as the budget of `evicting(…)`, each new one in the place of another (`compiler/bounded.ts`). A codec whose
 * tokens cannot go one by one is a `ValueError`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { attend, compile, evicting, input, keptOf, openBounded, rtnGrouped } from "kvfold";
 * const codecs = evicting({ sinks: 2, recent: 6, heavy: 8 }, rtnGrouped(4));
 * const cache = await openBounded(codecs, [2, 64]);
 * const q = input("q", [2, 1, 1, 64], "f32");
 * const program = await compile({ out: attend({ q, ...keptOf(codecs, cache.shape) }) });
 * for (let token = 0; token < 100; token++) {
 *   const [query, k, v] = [1, 2, 3].map((n) => Array.from({ length: 128 }, (_, i) => Math.sin(i * n + token)));
 *   await cache.append({ k, v });
 *   await cache.observe(query); // what attention looks at stays
 *   const { out } = await program.values({ q: query, ...cache.parts() });
 *   ok(out.length === 128);
 * }
 * ok(cache.seen() === 100 && cache.tokens() === 16);
 * ok((await cache.held()).places[0].includes(99));
 * cache.dispose();
 * ```
 */
export const openBounded = async (
  codecs: Evicting,
  [heads, channels]: readonly [heads: number, channels: number],
  { device: asked = "wasm", schedule }: Options = {},
): Promise<BoundedCache> => {
  const { device, make } = await makerOn(asked, schedule);
  return await boundedCache(make, device, codecs, heads, channels);
};

/** How to certify. */
export interface CertifyOptions extends Options {
  /** Packed inputs are codes of something: half a code off. */
  readonly codes?: boolean;
  /**
   * Read the values of an attention once more, for their range and for tokens that carry little weight (the
   * default); or take the range that their codes can hold: somewhat larger bounds for next to no time.
   */
  readonly sharp?: boolean;
}

/** Certifies, with the error as a value; what has no bound (a routine of a rounded value) is one. */
export const tryCertify = async <O extends Outputs>(
  outputs: O,
  { codes = false, sharp = true, ...options }: CertifyOptions = {},
): Promise<Either<CompileError | DeviceError, Certified<keyof O & string>>> => {
  const program = await compiled(outputs, options, { codes, sharp });
  return isLeft(program) ? program : right(certified(program.right, Object.keys(outputs)));
};

/**
 * Compiles outputs together with their bounds ({@link boundOf}): one program on the device gives, for
 * every element, its value and the largest distance from the ideal, the same program without its
 * roundings to stored types, with scales as stored and saturation kept.
 *
 * The device's own arithmetic is in the bound, fixed point included, and so is that of computing the
 * bound. What the ideal leaves of an input (the clipped, the truncated) is not: {@link codecBound} has
 * both. See `docs/numerics.md`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { certify, input, quantize } from "kvfold";
 * const codec = quantize({ bits: 4, per: "tensor", range: "symmetric" });
 * const x = input("x", ["t", 4], "f32");
 * const program = await certify({ back: codec.decode(codec.encode(x), x.shape) });
 * const given = [0.1, -0.2, 0.3, 7];
 * const { back } = await program.values({ x: given });
 * ok(back.value.join() === "0,0,0,7"); // three of four values are lost
 * ok(back.bound.every((b) => b >= 0.5 && b < 0.5001)); // and half a step says so
 * ok(given.every((v, i) => Math.abs(back.value[i] - v) <= back.bound[i]));
 * ```
 */
export const certify = async <O extends Outputs>(
  outputs: O,
  options: CertifyOptions = {},
): Promise<Certified<keyof O & string>> => {
  const result = await tryCertify(outputs, options);
  if (isLeft(result)) throw result.left;
  return result.right;
};
