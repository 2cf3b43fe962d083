/**
 * Runs a model on a cache that codecs hold. Weights are put on the device once, each formula of
 * `llama.ts` is compiled once, tensors stay on the device until the logits are read.
 *
 * ```text
 * x = embed(ids);  for each layer:  q, k, v = project(x);  K = encode(k), V = encode(v);  x = layer(x, q, K, V)
 * logits = head(x)
 * ```
 *
 * Token by token with a cache that grows: `generate.ts`. Does not do yet: batches of windows.
 * @module
 */
import {
  type Codec,
  compile,
  type Device,
  type Given,
  identity,
  type Program,
  type Prompt,
  type Schedule,
  type Sizes,
  type Tensor,
  type Term,
  upload,
  wasm,
} from "../mod.ts";
import { type Either, isLeft, right } from "../fp.ts";
import type { ModelConfig } from "./config.ts";
import { fail, type ModelError, orThrow } from "./errors.ts";
import * as llama from "./llama.ts";
import type { Model } from "./load.ts";
import {
  disposeAll,
  LAYER,
  type ModelPrecision,
  PROJECT,
  type Tensors,
  tensorsOf,
  under,
} from "./precision.ts";
import { behind, counted, counting, type Read } from "./prompt.ts";
import { ropeTables } from "./rope.ts";

/** How K and V are held. */
export interface Codecs {
  /** Codec of the keys, after RoPE. */
  readonly k: Codec;
  /** Codec of the values. */
  readonly v: Codec;
  /** What tokens count for codecs that choose among them. */
  readonly salience?: (prompt: Prompt) => Term;
}

/** The same for all layers, or for each. */
export type Held = Codecs | ((layer: number) => Codecs);

/** A layer's cache as it was, as it came back, and what attention made of both. */
export interface Seen {
  /** K after RoPE, and what its codec gives back: `[kv, tokens, d]`. */
  readonly k: readonly [exact: Float64Array, decoded: Float64Array];
  /** V, and what its codec gives back: `[kv, tokens, d]`. */
  readonly v: readonly [exact: Float64Array, decoded: Float64Array];
  /** Attention on the exact cache and on the stored one, same queries: `[kv, group, tokens, d]`. */
  readonly attention: readonly [exact: Float64Array, decoded: Float64Array];
}

/** One layer of a run. */
export interface LayerRun {
  /** Queries after RoPE, read back on request: `[kv, group, tokens, d]`. */
  readonly q?: Float64Array;
  /** Bytes stored of K, padding included. */
  readonly kBytes: number;
  /** Bytes stored of V, padding included. */
  readonly vBytes: number;
  /** Read back on request. */
  readonly seen?: Seen;
  /** What tokens counted, `[kv, tokens]`, where codecs chose among them. */
  readonly salience?: Float64Array;
}

/** A window run through the model. */
export interface Run {
  /** `[tokens, vocab]`, row-major. */
  readonly logits: Float32Array;
  /** Layers, first to last. */
  readonly layers: readonly LayerRun[];
}

/** A layer's part of a prompt; that it was not looked at is an error. */
const readOf = ({ layers }: Run, layer: number): Read => {
  const { q, seen } = layers[layer]!;
  if (q !== undefined && seen !== undefined) return { q, k: seen.k[0], v: seen.v[0] };
  throw new RangeError("run after a prompt: the run of the prompt was not looked at (see: true)");
};

/** What a run is asked for. */
export interface Asked {
  /** Read back what codecs did to the cache. */
  readonly see?: boolean;
  /** A prompt before the tokens: its run on an exact cache that was looked at. Codecs store its cache too. */
  readonly after?: Run;
}

/** A model on a device. */
export interface Runner {
  /** The sizes. */
  readonly config: ModelConfig;
  /** Runs a window; one that does not fit the model is a value. */
  readonly tryRun: (
    tokens: ArrayLike<number>,
    codecs?: Held,
    asked?: Asked,
  ) => Promise<Either<ModelError, Run>>;
  /** Runs a window, or throws `ModelFailure`. */
  readonly run: (
    tokens: ArrayLike<number>,
    codecs?: Held,
    asked?: Asked,
  ) => Promise<Run>;
  /** Gives the weights' memory back. */
  readonly close: () => void;
}

/** The cache as it is, in f32. */
export const EXACT: Codecs = { k: identity, v: identity };

/** The fewest tokens with something to predict. */
const LEAST = 2;

/** Tokens that the model can take: as many as its context holds behind the `past` ones, each in its vocabulary. */
export const checkTokens = (
  { contextLength: most, vocabSize: vocab }: ModelConfig,
  tokens: ArrayLike<number>,
  past = 0,
): Either<ModelError, readonly number[]> => {
  const have = past + tokens.length;
  if (have < LEAST || have > most) return fail({ tag: "window", least: LEAST, most, have });
  const ids = Array.from(tokens);
  const at = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocab));
  return at < 0 ? right(ids) : fail({ tag: "token", at, id: ids[at]!, vocab });
};

/**
 * Quality is measured in f32 arithmetic: what a scheme does to a model is then the scheme's doing, not
 * the 16-bit products' of a faster schedule.
 */
export const MEASURED: Partial<Schedule> = { fixed: false };

/** Compiles each formula once: equal formulas are the same terms. */
export const library = (
  device: Device,
  schedule: Partial<Schedule>,
): (formula: llama.Formula) => Promise<Program> => {
  // The formula is held, so that its terms keep their numbers.
  const known = new Map<string, { formula: llama.Formula; program: Promise<Program> }>();
  return (formula) => {
    const key = Object.entries(formula).map(([name, term]) => `${name} ${term.id}`).join();
    const old = known.get(key);
    if (old !== undefined) return old.program;
    const program = compile(formula, { device, schedule });
    known.set(key, { formula, program });
    return program;
  };
};

const bytesOf = (parts: Tensors): number =>
  Object.values(parts).reduce((n, tensor) => n + tensor.bytes, 0);

/** Puts a model on a device. */
export const openRunner = async (
  model: Model,
  device: Device = wasm(),
  schedule: Partial<Schedule> = MEASURED,
  { weights: fitted, activations }: ModelPrecision = {},
): Promise<Runner> => {
  const { config } = model;
  const compiled = library(device, schedule);
  const weights = new Map<string, Tensor>();
  for (const [name, { shape, data }] of model.weights) {
    if (fitted?.parts.has(name)) continue;
    weights.set(name, upload(device, name, "f32", shape, data));
  }
  const weight = (name: string): Tensor => weights.get(`${name}.weight`)!;
  const ofLayer = (layer: number, names: Readonly<Record<string, string>>): Tensors =>
    tensorsOf(layer, names, weights, fitted);
  const how: llama.Precision = {
    ...fitted === undefined ? {} : { weights: fitted.codec },
    ...activations === undefined ? {} : { activations },
  };
  const [embed, project, head] = [
    llama.embed(config),
    llama.project(config, how),
    llama.head(config),
  ];
  await Promise.all([embed, project, head].map(compiled));

  /** Reads what a codec did to a layer's cache, and what attention made of both. */
  const look = async (
    q: Tensor,
    exact: { readonly k: Tensor; readonly v: Tensor },
    stored: { readonly k: Tensors; readonly v: Tensors },
    { k, v }: Codecs,
    axis: string,
    place: Readonly<Record<string, Given>>,
  ): Promise<Seen> => {
    const [, tokens] = exact.k.shape;
    const decoded = async (codec: Codec, parts: Tensors): Promise<Float64Array> =>
      (await (await compiled(llama.decode(config, codec))).values(under("x", parts), { tokens }))
        .x!;
    const attention = async (codecs: Codecs, of: typeof stored): Promise<Float64Array> => {
      const program = await compiled({
        out: llama.attention(config, llama.pastOf(config, codecs.k, codecs.v, axis)),
      });
      const inputs = { q, ...place, ...under("k", of.k), ...under("v", of.v) };
      return (await program.values(inputs, { [axis]: tokens })).out!;
    };
    const plain = { k: { values: exact.k }, v: { values: exact.v } };
    return {
      k: [await exact.k.read(), await decoded(k, stored.k)],
      v: [await exact.v.read(), await decoded(v, stored.v)],
      attention: [await attention(EXACT, plain), await attention({ k, v }, stored)],
    };
  };

  const lengthOf = (run: Run | undefined): number =>
    run === undefined ? 0 : run.logits.length / config.vocabSize;

  const forward = async (
    ids: readonly number[],
    codecs: Held,
    { see = false, after }: Asked,
  ): Promise<Run> => {
    const run = async (
      formula: llama.Formula,
      inputs: Readonly<Record<string, Given>>,
      sizes: Sizes = {},
    ) => await (await compiled(formula)).run(inputs, sizes);
    const past = lengthOf(after);
    const tokens = past + ids.length;
    const [axis, place] = after === undefined
      ? [llama.TOKENS, {}]
      : [llama.PAST, { offset: [past] }];
    const tables = ropeTables(config, ids.length, past);
    const angles = Object.fromEntries(
      Object.entries(tables).map(([name, table]) => [
        name,
        upload(device, name, "f32", [ids.length, config.headDim / 2], table),
      ]),
    );
    const embedding = weight("model.embed_tokens");
    const layers: LayerRun[] = [];
    const held = new Set<Tensor>(Object.values(angles));
    const hold = <A extends Tensors>(tensors: A): A => {
      Object.values(tensors).forEach((tensor) => held.add(tensor));
      return tensors;
    };
    const release = (tensors: readonly Tensor[]): void =>
      new Set(tensors).forEach((tensor) => {
        held.delete(tensor);
        tensor.dispose();
      });
    try {
      let { x } = hold(await run(embed!, { embedding, ids }));
      for (let i = 0; i < config.layers; i++) {
        const own = typeof codecs === "function" ? codecs(i) : codecs;
        const { k, v } = own;
        const now = hold(await run(project!, { x: x!, ...angles, ...ofLayer(i, PROJECT) }));
        const before = after && readOf(after, i);
        const cache = before === undefined ? { k: now.k!, v: now.v! } : hold({
          k: await behind(before.k, now.k!),
          v: await behind(before.v, now.v!),
        });
        const told = own.salience === undefined ? {} : await counted(
          await compiled(counting(config, own.salience)),
          config,
          before ?? { q: now.q!, ...cache },
          before === undefined ? tokens : past,
          tokens,
        );
        const stored = {
          k: hold(await run(llama.encode(config, k), { x: cache.k, ...told })),
          v: hold(await run(llama.encode(config, v), { x: cache.v, ...told })),
        };
        const next = hold(
          await run(llama.layer(config, k, v, axis, how), {
            x: x!,
            q: now.q!,
            ...place,
            ...under("k", stored.k),
            ...under("v", stored.v),
            ...ofLayer(i, LAYER),
          }, { [axis]: tokens }),
        );
        layers.push({
          kBytes: bytesOf(stored.k),
          vBytes: bytesOf(stored.v),
          ...told,
          ...(see
            ? {
              q: await now.q!.read(),
              seen: await look(now.q!, cache, stored, own, axis, place),
            }
            : {}),
        });
        release([
          x!,
          ...[now, cache, stored.k, stored.v].flatMap((t) => Object.values<Tensor>(t)),
        ]);
        x = next.x;
      }
      const { logits } = hold(
        await run(head!, { x: x!, norm: weight("model.norm"), embedding }),
      );
      return { logits: Float32Array.from(await logits!.read()), layers };
    } finally {
      disposeAll(held);
    }
  };

  const tryRun: Runner["tryRun"] = async (tokens, codecs = EXACT, asked = {}) => {
    const ids = checkTokens(config, tokens, lengthOf(asked.after));
    return isLeft(ids) ? ids : right(await forward(ids.right, codecs, asked));
  };
  return {
    config,
    tryRun,
    run: async (tokens, codecs, asked) => orThrow(await tryRun(tokens, codecs, asked)),
    close: () => disposeAll(weights.values()),
  };
};
