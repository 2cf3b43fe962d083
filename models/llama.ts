/**
 * A LLaMA-like model as formulas: five programs, shared by all layers since weights are inputs. The
 * axis "tokens" has no size, so one compile serves every length.
 *
 * ```text
 * embed     ids                            ->  x = E[ids]
 * project   x, weights, cos, sin           ->  q, k turned by RoPE; v           (what a cache stores)
 * encode    k                              ->  the parts a codec stores of it
 * layer     x, q, parts of K and V         ->  x + O·attend(q, K, V), then + W2·(silu(W1·h) ∘ W3·h)
 * head      x                              ->  logits = E·norm(x)
 * ```
 *
 * K passes the codec after RoPE, the whole window at once; no program sees K and V again but through
 * what is stored of them.
 * @module
 */
import {
  attend,
  broadcast,
  cached,
  calibrationOf,
  type Codec,
  concat,
  contract,
  type Evicting,
  foldOver,
  gather,
  identity,
  input,
  type Kept,
  kept,
  keptOf,
  map,
  permute,
  reshape,
  slice,
  type Term,
} from "../mod.ts";
import type { ModelConfig } from "./config.ts";

/** The axis of a window; its size comes with each run. */
export const TOKENS = "tokens";

/** Outputs of a program by name. */
export type Formula = Readonly<Record<string, Term>>;

/** How the linear maps of layers hold their weights and see their inputs, f32 where nothing is said. */
export interface Precision {
  /** What stores a matrix of weights [out, in]. */
  readonly weights?: Codec;
  /** What rounds the inputs [tokens, channels] of linear maps, as they come. */
  readonly activations?: Codec;
}

const weight = (name: string, ...shape: readonly number[]): Term => input(name, shape, "f32");

/** A matrix of weights, or what its stored parts give back. */
const matrix = ({ weights }: Precision, name: string, ...shape: readonly number[]): Term =>
  weights === undefined ? weight(name, ...shape) : cached(weights, name, shape);

/** An input as linear maps see it. */
const rounded = (x: Term, { activations }: Precision): Term =>
  activations === undefined ? x : activations.decode(activations.encode(x), x.shape);

const hidden = (c: ModelConfig): Term => input("x", [TOKENS, c.hiddenSize], "f32");

/** The axis of a cache that holds earlier tokens too. */
export const PAST = "past";

/** The shape of K, and of V. */
export const cacheShape = (
  c: ModelConfig,
  tokens: string = TOKENS,
): readonly [number, string, number] => [c.kvHeads, tokens, c.headDim];

/** Queries, with the heads that share a key head side by side. */
export const queryShape = (c: ModelConfig): readonly [number, number, string, number] => [
  c.kvHeads,
  c.heads / c.kvHeads,
  TOKENS,
  c.headDim,
];

/** x / √(mean x² + eps), times a gain a channel. */
export const rmsNorm = (x: Term, gain: Term, eps: number): Term => {
  const width = x.shape[1] as number;
  const mean = map("div", foldOver("sum", "sum", map("mul", x, x), [1]), width);
  const size = broadcast(map("sqrt", map("add", mean, eps)), x.shape, [0]);
  return map("mul", map("div", x, size), gain);
};

/** x · Wᵀ; a matrix of weights is [out, in]. */
export const linear = (x: Term, w: Term): Term => contract("t i, o i -> t o", x, w);

/** x / (1 + e^−x). */
export const silu = (x: Term): Term => map("div", x, map("add", map("exp", map("neg", x)), 1));

/**
 * Turns pairs of channels of `[tokens, heads, d]` by the angle of their token: (a, b) becomes
 * (a cos − b sin, a sin + b cos). A pair is channels (2i, 2i+1), or (i, i + d/2).
 */
export const rope = (x: Term, cos: Term, sin: Term, interleaved: boolean): Term => {
  const [tokens, heads, d] = x.shape as readonly [string, number, number];
  const half = d / 2;
  const view = interleaved ? [tokens, heads, half, 2] : [tokens, heads, 2, half];
  const axis = interleaved ? 3 : 2;
  const pairs = reshape(x, view);
  const one = view.map((n, i) => i === axis ? 1 : n);
  const place = [0, interleaved ? 2 : 3];
  const [c, s] = [broadcast(cos, one, place), broadcast(sin, one, place)];
  const [a, b] = [slice(pairs, axis, 0, 1), slice(pairs, axis, 1, 2)];
  const turned = [
    map("sub", map("mul", a, c), map("mul", b, s)),
    map("add", map("mul", a, s), map("mul", b, c)),
  ];
  return reshape(concat(turned, axis), x.shape);
};

/** Rows of the embedding. */
export const embed = (c: ModelConfig): Formula => ({
  x: gather(weight("embedding", c.vocabSize, c.hiddenSize), input("ids", [TOKENS], "u32")),
});

/** What queries, keys and values are made of. */
const entered = (c: ModelConfig): Term =>
  rmsNorm(hidden(c), weight("norm", c.hiddenSize), c.normEps);

/** Queries, keys and values of a layer. */
export const project = (c: ModelConfig, how: Precision = {}): Formula => {
  const [width, d] = [c.hiddenSize, c.headDim];
  const h = rounded(entered(c), how);
  const [cos, sin] = ["cos", "sin"].map((name) => input(name, [TOKENS, d / 2], "f32"));
  const heads = (name: string, n: number): Term =>
    reshape(linear(h, matrix(how, name, n * d, width)), [TOKENS, n, d]);
  const turned = (name: string, n: number): Term =>
    permute(rope(heads(name, n), cos, sin, c.ropeInterleaved), [1, 0, 2]);
  return {
    q: reshape(turned("wq", c.heads), queryShape(c)),
    k: turned("wk", c.kvHeads),
    v: permute(heads("wv", c.kvHeads), [1, 0, 2]),
  };
};

/** What a codec stores of K or of V. */
export const encode = (c: ModelConfig, codec: Codec): Formula => ({
  ...codec.encode(input("x", cacheShape(c), "f32")),
});

/** What a codec gives back. */
export const decode = (c: ModelConfig, codec: Codec): Formula => ({
  x: cached(codec, "x", cacheShape(c)),
});

/** A cache as attention reads it. */
export interface Past {
  readonly k: Kept;
  readonly v: Kept;
  /** Where the first of the new tokens stands; before it are others. */
  readonly offset: number | Term;
}

/** A cache held by codecs. In one that holds earlier tokens too, {@link PAST} of them in all, `offset` lie before the first one. */
export const pastOf = (c: ModelConfig, k: Codec, v: Codec, tokens: string = TOKENS): Past => ({
  k: kept(k, "k", cacheShape(c, tokens)),
  v: kept(v, "v", cacheShape(c, tokens)),
  offset: tokens === TOKENS ? 0 : input("offset", [], "f32"),
});

/** A cache that holds some of the tokens that came, {@link PAST} of them: new ones, and what is left of others. */
export const boundedPast = (c: ModelConfig, codecs: Evicting): Past => ({
  ...keptOf(codecs, cacheShape(c, PAST)),
  offset: input("offset", [], "f32"),
});

/** Attention of every token on the cache up to itself: `[kv, group, tokens, d]`. */
export const attention = (c: ModelConfig, { k, v, offset }: Past): Term =>
  attend({ q: input("q", queryShape(c), "f32"), k, v, causal: { offset } });

/** A layer from its queries and its cache, with the inputs of its linear maps on the way. */
const inLayer = (c: ModelConfig, past: Past, how: Precision) => {
  const [width, inner] = [c.hiddenSize, c.intermediateSize];
  const of = (x: Term, name: string, ...shape: readonly number[]): Term =>
    linear(rounded(x, how), matrix(how, name, ...shape));
  const seen = reshape(permute(attention(c, past), [2, 0, 1, 3]), [
    TOKENS,
    c.heads * c.headDim,
  ]);
  const middle = map("add", hidden(c), of(seen, "wo", width, c.heads * c.headDim));
  const h = rmsNorm(middle, weight("norm", width), c.normEps);
  const gated = map("mul", silu(of(h, "w1", inner, width)), of(h, "w3", inner, width));
  return { seen, h, gated, x: map("add", middle, of(gated, "w2", width, inner)) };
};

/** What a layer adds to x, from its queries and its cache. */
export const layerOn = (c: ModelConfig, past: Past, how: Precision = {}): Formula => ({
  x: inLayer(c, past, how).x,
});

/** The same on a cache held by codecs. */
export const layer = (
  c: ModelConfig,
  k: Codec,
  v: Codec,
  tokens: string = TOKENS,
  how: Precision = {},
): Formula => layerOn(c, pastOf(c, k, v, tokens), how);

/** What the queries, keys and values of a layer tell of the channels of their input. */
export const projectInputs = (c: ModelConfig): Formula => told({ qkv: entered(c) });

/** The same of the other linear maps of a layer, from its queries and its cache in f32. */
export const layerInputs = (c: ModelConfig): Formula => {
  const { seen, h, gated } = inLayer(c, pastOf(c, identity, identity), {});
  return told({ out: seen, mlp: h, down: gated });
};

const told = (inputs: Formula): Formula =>
  Object.fromEntries(
    Object.entries(inputs).flatMap(([name, x]) =>
      Object.entries(calibrationOf(x)).map(([part, t]) => [`${name}.${part}`, t])
    ),
  );

/** Logits of the next token. */
export const head = (c: ModelConfig): Formula => ({
  logits: linear(
    rmsNorm(hidden(c), weight("norm", c.hiddenSize), c.normEps),
    weight("embedding", c.vocabSize, c.hiddenSize),
  ),
});
