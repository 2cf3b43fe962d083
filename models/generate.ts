/**
 * A model token by token, on caches that grow. Tokens are fed once: each goes through the layers, is put
 * behind the caches of K and V, and attends to all that is there. Programs are compiled for any number of
 * tokens; a prompt is fed at once.
 *
 * ```text
 * feed(ids):  x = embed(ids);  for each layer:  q, k, v = project(x);  K, V append k, v;  x = layer(x, q, K, V)
 *             logits of the last token = head(x)
 * ```
 * @module
 */
import {
  type Device,
  type Given,
  openCache,
  type Schedule,
  type Tensor,
  upload,
  wasm,
} from "../mod.ts";
import * as llama from "./llama.ts";
import type { Model } from "./load.ts";
import { LAYER, PROJECT } from "./precision.ts";
import { ropeTables } from "./rope.ts";
import { type Codecs, library } from "./runner.ts";

/** A model with its caches. */
export interface Generator {
  /** Puts tokens behind those that were fed; the logits of the next one. */
  readonly feed: (ids: readonly number[]) => Promise<Float64Array>;
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

/** Opens a model whose caches are held by codecs. */
export const openGenerator = async (
  { config, weights }: Model,
  codecs: Codecs,
  { device = wasm(), schedule = {}, capacity = 64 }: {
    readonly device?: Device;
    readonly schedule?: Partial<Schedule>;
    readonly capacity?: number;
  } = {},
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
  const shape = [config.kvHeads, config.headDim] as const;
  const caches = await Promise.all(
    Array.from({ length: config.layers }, async () => ({
      k: await openCache(codecs.k, shape, { device, schedule, capacity }),
      v: await openCache(codecs.v, shape, { device, schedule, capacity }),
    })),
  );
  const { k, v } = caches[0]!;
  const [embed, project, head] = [llama.embed, llama.project, llama.head].map((f) => f(config));
  const layer = llama.layer(config, k.codec, v.codec, llama.PAST);
  const tables = ropeTables(config, config.contextLength);
  const half = config.headDim / 2;

  const run = async (
    formula: llama.Formula,
    inputs: Readonly<Record<string, Given>>,
    sizes = {},
  ): Promise<Record<string, Tensor>> => await (await compiled(formula)).run(inputs, sizes);

  const feed = async (ids: readonly number[]): Promise<Float64Array> => {
    const before = k.tokens();
    const past = before + ids.length;
    const angles = Object.fromEntries(
      Object.entries(tables).map(([name, t]) => [name, t.subarray(before * half, past * half)]),
    );
    const embedding = weight("model.embed_tokens");
    let { x } = await run(embed!, { embedding, ids });
    for (const [i, cache] of caches.entries()) {
      const now = await run(project!, { x: x!, ...angles, ...ofLayer(i, PROJECT) });
      await cache.k.append(now.k!);
      await cache.v.append(now.v!);
      const next = await run(layer, {
        x: x!,
        q: now.q!,
        offset: [before],
        ...cache.k.parts("k"),
        ...cache.v.parts("v"),
        ...ofLayer(i, LAYER),
      }, { [llama.PAST]: past });
      [x!, ...Object.values(now)].forEach((t) => t.dispose());
      x = next.x;
    }
    const { logits } = await run(head!, { x: x!, norm: weight("model.norm"), embedding });
    const all = await logits!.read();
    [x!, logits!].forEach((t) => t.dispose());
    return all.subarray(all.length - config.vocabSize);
  };
  return {
    feed,
    tokens: () => k.tokens(),
    bytes: () => caches.reduce((n, cache) => n + cache.k.bytes() + cache.v.bytes(), 0),
    close: () => {
      held.forEach((t) => t.dispose());
      caches.forEach((cache) => [cache.k, cache.v].forEach((c) => c.dispose()));
    },
  };
};
