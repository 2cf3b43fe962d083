/**
 * Fits the weights of a model's linear maps to few bits, layer by layer on calibration text:
 *
 * ```text
 * for each layer:  q, k, v = project(x);  statistics of all inputs of its linear maps, joined over windows
 *                  parts, gains = scheme.fit(weights that share an input, statistics)
 *                  x = layer(project(x)) with the weights as they are stored now
 * ```
 *
 * So each layer is fitted to what the layers before it, already in few bits, hand on.
 * @module
 */
import {
  bitsOf,
  type Calibration,
  compile,
  type Device,
  identity,
  input,
  type Parts,
  type Tensor,
  upload,
  wasm,
  type WeightScheme,
} from "../mod.ts";
import { orThrow } from "./errors.ts";
import * as llama from "./llama.ts";
import type { Model } from "./load.ts";
import {
  disposeAll,
  type FittedWeights,
  LAYER,
  PROJECT,
  type Tensors,
  tensorsOf,
} from "./precision.ts";
import { ropeTables } from "./rope.ts";
import { checkTokens, library, MEASURED } from "./runner.ts";

/** Linear maps that read the same input, and the norm that makes it. */
const SHARING = [
  { input: "qkv", gain: PROJECT.norm, weights: { wq: PROJECT.wq, wk: PROJECT.wk, wv: PROJECT.wv } },
  { input: "out", weights: { wo: LAYER.wo } },
  { input: "mlp", gain: LAYER.norm, weights: { w1: LAYER.w1, w3: LAYER.w3 } },
  { input: "down", weights: { w2: LAYER.w2 } },
] as const;

const PARTS = ["max", "sum", "gram"] as const;
type Statistics = Readonly<Record<string, Float64Array>>;

/** Statistics of two windows are those of both, joined. */
const joined = (a: Statistics | undefined, b: Statistics): Statistics =>
  a === undefined ? b : Object.fromEntries(
    Object.entries(b).map(([name, x]) => [
      name,
      x.map((v, i) => name.endsWith(".max") ? Math.max(v, a[name]![i]!) : v + a[name]![i]!),
    ]),
  );

/** The program that fits maps to a scheme, its results named `weight.part` and `gain`. */
const fitting = (
  scheme: WeightScheme,
  shapes: Readonly<Record<string, readonly number[]>>,
  gain: boolean,
) => {
  const [, n] = Object.values(shapes)[0]!;
  const given = (name: string, ...shape: readonly number[]) => input(name, shape, "f32");
  const fitted = scheme.fit({
    ...gain ? { gain: given("gain", n!) } : {},
    weights: Object.fromEntries(
      Object.entries(shapes).map(([name, s]) => [name, given(name, ...s)]),
    ),
    inputs: {
      max: given("max", n!),
      sum: given("sum", n!),
      gram: given("gram", n!, n!),
    } as Calibration,
  });
  const named = (name: string, parts: Parts) =>
    Object.entries(parts).map(([part, t]) => [`${name}.${part}`, t] as const);
  return Object.fromEntries([
    ...Object.entries(fitted.weights).flatMap(([name, parts]) => named(name, parts)),
    ...fitted.gain === undefined ? [] : [["gain", fitted.gain] as const],
  ]);
};

/** Fits all linear maps of a model's layers; windows are calibration text. */
export const fitWeights = async (
  model: Model,
  scheme: WeightScheme,
  windows: readonly ArrayLike<number>[],
  device: Device = wasm(),
): Promise<FittedWeights> => {
  const { config } = model;
  const compiled = library(device, MEASURED);
  const exact = new Map<string, Tensor>();
  for (const [name, { shape, data }] of model.weights) {
    exact.set(name, upload(device, name, "f32", shape, data));
  }
  const [parts, gains] = [new Map<string, Tensors>(), new Map<string, Tensor>()];
  const close = (): void => {
    for (const held of parts.values()) disposeAll(Object.values(held));
    disposeAll(gains.values());
  };
  let [stored, values] = [0, 0];
  const fitted = (): FittedWeights => ({
    name: scheme.name,
    codec: scheme.codec,
    parts,
    gains,
    bits: stored / values,
    close,
  });

  const fit = async (layer: number, told: Statistics): Promise<void> => {
    for (const group of SHARING) {
      const full = (of: string): string => `model.layers.${layer}.${of}.weight`;
      const weights = Object.entries(group.weights);
      const shapes = Object.fromEntries(
        weights.map(([name, of]) => [name, model.weights.get(full(of))!.shape]),
      );
      const outputs = fitting(scheme, shapes, "gain" in group);
      const program = await compile(outputs, { device, schedule: MEASURED });
      const made = await program.run({
        ...Object.fromEntries(weights.map(([name, of]) => [name, exact.get(full(of))!])),
        ..."gain" in group ? { gain: exact.get(full(group.gain))! } : {},
        ...Object.fromEntries(PARTS.map((part) => [part, told[`${group.input}.${part}`]!])),
      });
      if ("gain" in group && made.gain !== undefined) gains.set(full(group.gain), made.gain);
      for (const [name, of] of weights) {
        const own = Object.entries(made).filter(([part]) => part.startsWith(`${name}.`));
        parts.set(
          full(of),
          Object.fromEntries(own.map(([part, tensor]) => [part.slice(name.length + 1), tensor])),
        );
        const count = shapes[name]!.reduce((n, d) => n * d, 1);
        stored += count * bitsOf(scheme.codec, shapes[name]!);
        values += count;
      }
    }
  };

  const run = async (
    formula: llama.Formula,
    inputs: Parameters<Awaited<ReturnType<typeof compiled>>["run"]>[0],
  ) => await (await compiled(formula)).run(inputs);
  const open: { x: Tensor; readonly angles: Tensors }[] = [];
  try {
    for (const window of windows) {
      const ids = orThrow(checkTokens(config, window));
      const angles = Object.fromEntries(
        Object.entries(ropeTables(config, ids.length)).map(([name, table]) => [
          name,
          upload(device, name, "f32", [ids.length, config.headDim / 2], table),
        ]),
      );
      const embedding = exact.get("model.embed_tokens.weight")!;
      const { x } = await run(llama.embed(config), { embedding, ids });
      open.push({ x: x!, angles });
    }
    const layerOf = async (
      layer: number,
      { x, angles }: (typeof open)[number],
      held: FittedWeights | undefined,
      formula: llama.Formula,
    ): Promise<Tensors> => {
      const how = held === undefined ? {} : { weights: held.codec };
      const of = (names: Readonly<Record<string, string>>) => tensorsOf(layer, names, exact, held);
      const { q, k, v } = await run(llama.project(config, how), { x, ...angles, ...of(PROJECT) });
      const cache = { q: q!, "k.values": k!, "v.values": v! };
      const out = await run(formula, { x, ...cache, ...of(LAYER) });
      disposeAll(Object.values(cache));
      return out;
    };
    for (let layer = 0; layer < config.layers; layer++) {
      let told: Statistics | undefined;
      for (const window of open) {
        const { norm } = tensorsOf(layer, PROJECT, exact);
        const made = {
          ...await run(llama.projectInputs(config), { x: window.x, norm: norm! }),
          ...await layerOf(layer, window, undefined, llama.layerInputs(config)),
        };
        const read: Record<string, Float64Array> = {};
        for (const [name, tensor] of Object.entries(made)) read[name] = await tensor.read();
        disposeAll(Object.values(made));
        told = joined(told, read);
      }
      await fit(layer, told!);
      const held = fitted();
      const formula = llama.layer(config, identity, identity, llama.TOKENS, {
        weights: scheme.codec,
      });
      for (const window of open) {
        const { x } = await layerOf(layer, window, held, formula);
        window.x.dispose();
        window.x = x!;
      }
    }
    return fitted();
  } catch (error) {
    close();
    throw error;
  } finally {
    disposeAll(exact.values());
    open.forEach(({ x, angles }) => disposeAll([x, ...Object.values(angles)]));
  }
};
