/**
 * Laws of schemes for weights: what rounds to nearest where nothing is known of the inputs, what does not
 * depend on the order of work, and what may not be worse than rounding to nearest.
 * @module
 */
import { contract, gram, input, map } from "../../dsl/core/build.ts";
import type { Term } from "../../dsl/core/term.ts";
import type { Parts } from "../../dsl/codec/codec.ts";
import { quantizeGroups } from "../../dsl/quantize/groups.ts";
import { evalAll } from "../../dsl/read/eval.ts";
import { type Gptq, gptq, outputLoss } from "../../dsl/schemes/gptq.ts";
import { calibrationOf, type WeightScheme } from "../../dsl/weights/scheme.ts";
import { norm } from "./codec.ts";

/** A layer: weights [outputs, width] and inputs [tokens, width]. */
export interface Layer {
  readonly outputs: number;
  readonly width: number;
  readonly w: Float64Array;
  readonly x: Float64Array;
}

/** The terms of a layer, and their values. */
export const layerTerms = ({ outputs, width, w, x }: Layer) => ({
  w: input("w", [outputs, width], "f32"),
  x: input("x", ["tokens", width], "f32"),
  h: gram(input("x", ["tokens", width], "f32"), [0]),
  env: { sizes: { tokens: x.length / width }, inputs: { w, x } },
});

const partsIn = (parts: Parts, env: ReturnType<typeof layerTerms>["env"]): Float64Array[] =>
  evalAll([parts.codes, parts.scale, parts.min], env).map((v) => v.data);

const same = (a: readonly Float64Array[], b: readonly Float64Array[]): boolean =>
  a.every((x, i) => x.length === b[i].length && x.every((v, k) => v === b[i][k]));

/** Inputs that are unrelated and alike, so H is the identity: GPTQ rounds to nearest, exactly. */
export const unrelatedLaw = (layer: Omit<Layer, "x">, options: Gptq): boolean => {
  const x = Float64Array.from(
    { length: layer.width ** 2 },
    (_, k) => k % (layer.width + 1) === 0 ? 1 : 0,
  );
  const { w, h, env } = layerTerms({ ...layer, x });
  const nearest = quantizeGroups(options.bits, options.group).encode(w);
  return same(partsIn(gptq(w, h, options), env), partsIn(nearest, env));
};

/** Blocks of any length give the same codes: they change the order of work only. */
export const blocksLaw = (layer: Layer, options: Gptq, block: number): boolean => {
  const { w, h, env } = layerTerms(layer);
  const [one, other] = [layer.width, block].map((b) =>
    partsIn(gptq(w, h, { ...options, block: b }), env)
  );
  return same(one, other);
};

/** Shares of ‖XWᵀ‖² that rounding to nearest and ways to find parts of its codec lose. */
export const losses = (
  layer: Layer,
  { bits, group }: Pick<Gptq, "bits" | "group">,
  ways: readonly Omit<Gptq, "bits" | "group">[],
): number[] => {
  const { w, h, env } = layerTerms(layer);
  const codec = quantizeGroups(bits, group);
  const parts = [codec.encode(w), ...ways.map((way) => gptq(w, h, { bits, group, ...way }))];
  const nothing = input("nothing", w.shape, "f32");
  const [all, ...lost] = evalAll(
    [outputLoss(w, nothing, h), ...parts.map((p) => outputLoss(w, codec.decode(p, w.shape), h))],
    { ...env, inputs: { ...env.inputs, nothing: new Float64Array(layer.w.length) } },
  );
  return lost.map((v) => v.data[0] / all.data[0]);
};

/** Outputs of a layer behind a norm's gain, in f64: x ∘ gain times what a scheme stores of w. */
const outputsOf = (
  layer: Layer,
  scheme: WeightScheme,
): { exact: Float64Array; kept: Float64Array } => {
  const { w, x, env } = layerTerms(layer);
  const gain = input("gain", [layer.width], "f32");
  const read = map("mul", x, gain);
  const fitted = scheme.fit({ gain, weights: { w }, inputs: calibrationOf(read) });
  const stored = scheme.codec.decode(fitted.weights.w, w.shape);
  const y = (inputs: Term, weights: Term): Term => contract("t i, o i -> t o", inputs, weights);
  const given = Float64Array.from({ length: layer.width }, (_, i) => 0.5 + (i % 3));
  const [exact, kept] = evalAll(
    [y(read, w), y(map("mul", x, fitted.gain ?? gain), stored)],
    { ...env, inputs: { ...env.inputs, gain: given } },
  );
  return { exact: exact.data, kept: kept.data };
};

/** Share of the outputs' squares that a scheme loses on the inputs that it was fitted to. */
export const lossOf = (layer: Layer, scheme: WeightScheme): number => {
  const { exact, kept } = outputsOf(layer, scheme);
  return norm(exact.map((v, i) => v - kept[i])) ** 2 / norm(exact) ** 2;
};

/** Scaled channels whose norm takes the scale back give the same outputs, but for f64's rounding. */
export const foldedLaw = (layer: Layer, scheme: WeightScheme): boolean =>
  lossOf(layer, scheme) <= (layer.width * 2 ** -50) ** 2;
