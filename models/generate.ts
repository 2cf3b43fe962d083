/**
 * A model token by token, on caches that grow or hold as many tokens as a budget. Tokens are fed once: each goes
 * through the layers, is put into the caches of K and V, and attends to all that is there. Programs are compiled
 * for any number of tokens; a prompt is fed at once, or in as few steps as a cache of bounded memory takes.
 *
 * ```text
 * feed(ids):  x = embed(ids);  for each layer:  q, k, v = project(x);  K, V append k, v;  x = layer(x, q, K, V)
 *             logits of the last token = head(x)
 * ```
 *
 * Keys are turned by the place where their token stood, in a text of any length. In a cache of bounded memory
 * queries then stand further from the first tokens than in any text that the model was trained on, once the text
 * is longer than its context; StreamingLLM turns keys by their place in the cache, which is not done here.
 * @module
 */
import { type Device, type Given, type Schedule, type Tensor, upload, wasm } from "../mod.ts";
import { type Cached, openLayerCache } from "./caches.ts";
import * as llama from "./llama.ts";
import type { Model } from "./load.ts";
import { LAYER, PROJECT } from "./precision.ts";
import { ropeTables } from "./rope.ts";
import { library } from "./runner.ts";

/** A model with its caches. */
export interface Generator {
  /** Puts tokens behind those that were fed; the logits of the next one. */
  readonly feed: (ids: readonly number[]) => Promise<Float64Array>;
  /** The same, with the logits after each of them: `[tokens, vocab]`. */
  readonly read: (ids: readonly number[]) => Promise<Float32Array>;
  /** Tokens that were fed. */
  readonly tokens: () => number;
  /** Bytes of all caches. */
  readonly bytes: () => number;
  /** Gives all memory back. */
  readonly close: () => void;
}

/** The place of the largest number. */
export const largest = (xs: ArrayLike<number>): number => {
  let at = 0;
  for (let i = 1; i < xs.length; i++) if (xs[i] > xs[at]) at = i;
  return at;
};

/** How to generate. */
export interface Generating {
  readonly device?: Device;
  readonly schedule?: Partial<Schedule>;
  /** Tokens that caches that grow have room for from the start; 64 if not given. */
  readonly capacity?: number;
  /** The most tokens that are fed at once; as many as the cache takes if not given. */
  readonly most?: number;
}

/** Opens a model whose caches are held by codecs, of all tokens or of as many as a budget. */
export const openGenerator = async (
  { config, weights }: Model,
  codecs: Cached,
  { device = wasm(), schedule = {}, capacity = 64, most = Infinity }: Generating = {},
): Promise<Generator> => {
  const compiled = library(device, schedule);
  const held = new Map<string, Tensor>();
  for (const [name, { shape, data }] of weights) {
    held.set(name, upload(device, name, "f32", shape, data));
  }
  const weight = (name: string): Tensor => held.get(`${name}.weight`)!;
  const ofLayer = (i: number, names: Readonly<Record<string, string>>): Record<string, Tensor> =>
    Object.fromEntries(
      Object.entries(names).map(([name, of]) => [name, weight(`model.layers.${i}.${of}`)]),
    );
  const caches = await Promise.all(
    Array.from(
      { length: config.layers },
      () => openLayerCache(config, codecs, { device, schedule, capacity }),
    ),
  );
  const [{ past, most: taken }] = caches as [typeof caches[number]];
  const [embed, project, head] = [llama.embed, llama.project, llama.head].map((f) => f(config));
  const layer = llama.layerOn(config, past);
  const embedding = weight("model.embed_tokens");
  let tokens = 0;

  const run = async (
    formula: llama.Formula,
    inputs: Readonly<Record<string, Given>>,
    sizes = {},
  ): Promise<Record<string, Tensor>> => await (await compiled(formula)).run(inputs, sizes);

  /** Feeds some tokens at once. */
  const step = async (ids: readonly number[]): Promise<Tensor> => {
    const angles = ropeTables(config, ids.length, tokens);
    let { x } = await run(embed!, { embedding, ids });
    for (const [i, cache] of caches.entries()) {
      const now = await run(project!, { x: x!, ...angles, ...ofLayer(i, PROJECT) });
      await cache.append(now.k!, now.v!);
      const next = await run(layer, {
        x: x!,
        q: now.q!,
        offset: [tokens],
        ...cache.parts(),
        ...ofLayer(i, LAYER),
      }, { [llama.PAST]: cache.held() });
      await cache.observe(now.q!);
      [x!, ...Object.values(now)].forEach((t) => t.dispose());
      x = next.x;
    }
    tokens += ids.length;
    return x!;
  };

  /** Feeds tokens in as few steps as the cache takes; what comes out of each, to whoever takes it. */
  const fed = async (
    ids: readonly number[],
    take: (x: Tensor, last: boolean) => Promise<void>,
  ): Promise<void> => {
    if (ids.length === 0) throw new RangeError("feed: there are no tokens");
    const each = Math.min(most, taken);
    for (let at = 0; at < ids.length; at += each) {
      const x = await step(ids.slice(at, at + each));
      await take(x, at + each >= ids.length);
      x.dispose();
    }
  };
  const logitsOf = async (x: Tensor): Promise<Float64Array> => {
    const { logits } = await run(head!, { x, norm: weight("model.norm"), embedding });
    const all = await logits!.read();
    logits!.dispose();
    return all;
  };

  const feed: Generator["feed"] = async (ids) => {
    let all: Float64Array = new Float64Array();
    await fed(ids, async (x, last) => {
      if (last) all = await logitsOf(x);
    });
    return all.subarray(all.length - config.vocabSize);
  };
  const read: Generator["read"] = async (ids) => {
    const all = new Float32Array(ids.length * config.vocabSize);
    let at = 0;
    await fed(ids, async (x) => {
      const some = await logitsOf(x);
      all.set(some, at);
      at += some.length;
    });
    return all;
  };
  return {
    feed,
    read,
    tokens: () => tokens,
    bytes: () => caches.reduce((n, cache) => n + cache.bytes(), 0),
    close: () => {
      held.forEach((t) => t.dispose());
      caches.forEach((cache) => cache.dispose());
    },
  };
};
