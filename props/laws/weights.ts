/**
 * Laws of schemes for weights: what rounds to nearest where nothing is known of the inputs, what does not
 * depend on the order of work, and what may not be worse than rounding to nearest.
 * @module
 */
import { gram, input } from "../../dsl/core/build.ts";
import type { Parts } from "../../dsl/codec/codec.ts";
import { quantizeGroups } from "../../dsl/quantize/groups.ts";
import { evalAll } from "../../dsl/read/eval.ts";
import { type Gptq, gptq, outputLoss } from "../../dsl/schemes/gptq.ts";

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
