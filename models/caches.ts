/**
 * The cache of a layer as a generator uses it: one that grows, or one of bounded memory.
 *
 * ```text
 * append(k, v)    parts -> attention of the new tokens on what is held    observe(q)
 * ```
 * @module
 */
import {
  type Evicting,
  openBounded,
  openCache,
  type Options,
  stepOf,
  type Tensor,
} from "../mod.ts";
import type { ModelConfig } from "./config.ts";
import * as llama from "./llama.ts";
import type { Codecs } from "./runner.ts";

/** What holds the cache of each layer: codecs of all tokens, or of as many as a budget. */
export type Cached = Codecs | Evicting;

/** The cache of a layer. */
export interface LayerCache {
  /** How attention reads it. */
  readonly past: llama.Past;
  /** The most tokens that may come at once. */
  readonly most: number;
  /** Keys and values of new tokens. */
  readonly append: (k: Tensor, v: Tensor) => Promise<void>;
  /** Queries of the tokens that were appended last. */
  readonly observe: (q: Tensor) => Promise<void>;
  /** Its parts as inputs of attention. */
  readonly parts: () => Record<string, Tensor>;
  /** Tokens that it holds. */
  readonly held: () => number;
  readonly bytes: () => number;
  readonly dispose: () => void;
}

/** Opens the cache of a layer. */
export const openLayerCache = async (
  config: ModelConfig,
  held: Cached,
  { capacity, ...options }: Options & { readonly capacity: number },
): Promise<LayerCache> => {
  const shape = [config.kvHeads, config.headDim] as const;
  if ("eviction" in held) {
    const cache = await openBounded(held, shape, options);
    return {
      past: llama.boundedPast(config, held),
      most: stepOf(held),
      append: (k, v) => cache.append({ k, v }),
      observe: cache.observe,
      parts: cache.parts,
      held: cache.tokens,
      bytes: cache.bytes,
      dispose: cache.dispose,
    };
  }
  const [k, v] = await Promise.all(
    [held.k, held.v].map((codec) => openCache(codec, shape, { capacity, ...options })),
  );
  return {
    past: llama.pastOf(config, k!.codec, v!.codec, llama.PAST),
    most: Infinity,
    append: async (keys, values) => {
      await k!.append(keys);
      await v!.append(values);
    },
    observe: () => Promise.resolve(),
    parts: () => ({ ...k!.parts("k"), ...v!.parts("v") }),
    held: k!.tokens,
    bytes: () => k!.bytes() + v!.bytes(),
    dispose: () => [k!, v!].forEach((cache) => cache.dispose()),
  };
};
