/**
 * The shape of a LLaMA-like model, read from a `config.json` in the Hugging Face spelling, and the
 * tensors that such a model needs. A configuration is untrusted: sizes are bounded, must divide one
 * another, and must agree with the tensors of the file (`checkWeights`).
 *
 * Does not do yet: RoPE scaling, biases, untied heads, activations other than SiLU.
 * @module
 */
import { type Either, isLeft, right } from "../fp.ts";
import { fail, type ModelError, show } from "./errors.ts";
import { all, type Json, parseObject } from "./json.ts";
import type { Weights } from "./weights.ts";

/** A LLaMA-like model: RMSNorm, RoPE, grouped queries, SwiGLU, tied head, no biases. */
export type ModelConfig = {
  /** Width of the residual stream. */
  readonly hiddenSize: number;
  /** Width of the feed-forward layer. */
  readonly intermediateSize: number;
  /** Number of layers. */
  readonly layers: number;
  /** Number of query heads. */
  readonly heads: number;
  /** Number of key and value heads; divides `heads`. */
  readonly kvHeads: number;
  /** Channels of a head. */
  readonly headDim: number;
  /** Number of tokens that have an id. */
  readonly vocabSize: number;
  /** The longest window the model was trained on. */
  readonly contextLength: number;
  /** Added to the mean square in RMSNorm. */
  readonly normEps: number;
  /** Base of the RoPE frequencies. */
  readonly ropeTheta: number;
  /** True: RoPE turns channels (2i, 2i+1). False: channels (i, i + headDim/2). */
  readonly ropeInterleaved: boolean;
};

const maxSize = 1 << 24;
const maxLayers = 1024;
const maxBytes = 1 << 20;

const integer = (json: Json, key: string, limit = maxSize): Either<ModelError, number> => {
  const value = json[key];
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1) {
    return fail({ tag: "value", where: key, want: "a positive integer", have: show(value) });
  }
  return value > limit ? fail({ tag: "limit", where: key, limit, have: value }) : right(value);
};

const positive = (json: Json, key: string): Either<ModelError, number> => {
  const value = json[key];
  return typeof value === "number" && Number.isFinite(value) && value > 0
    ? right(value)
    : fail({ tag: "value", where: key, want: "a positive number", have: show(value) });
};

/** A key that may be absent, which is a no. */
const truth = (json: Json, key: string): Either<ModelError, boolean> => {
  const value = json[key] ?? false;
  return typeof value === "boolean"
    ? right(value)
    : fail({ tag: "value", where: key, want: "true or false", have: show(value) });
};

/** What the keys of a file must say, where only one answer is understood. */
const fixed:
  readonly (readonly [key: string, want: unknown, may: "be absent" | "not be absent"])[] = [
    ["tie_word_embeddings", true, "not be absent"],
    ["hidden_act", "silu", "be absent"],
    ["attention_bias", false, "be absent"],
    ["mlp_bias", false, "be absent"],
    ["rope_scaling", null, "be absent"],
  ];

const checkFixed = (json: Json): Either<ModelError, null> => {
  for (const [key, want, may] of fixed) {
    const have = json[key];
    if (have === want || (have === undefined && may === "be absent")) continue;
    return fail({ tag: "value", where: key, want: show(want), have: show(have) });
  }
  return right(null);
};

/** Checks that the sizes divide one another as attention needs. */
export const checkConfig = (config: ModelConfig): Either<ModelError, ModelConfig> => {
  const { heads, kvHeads, headDim } = config;
  if (heads % kvHeads !== 0) {
    const where = "num_attention_heads";
    const want = `a multiple of num_key_value_heads, ${kvHeads}`;
    return fail({ tag: "value", where, want, have: show(heads) });
  }
  if (headDim % 2 !== 0) {
    return fail({ tag: "value", where: "head_dim", want: "an even number", have: show(headDim) });
  }
  return right(config);
};

/** Reads and checks a `config.json`. */
export const parseConfig = (bytes: Uint8Array): Either<ModelError, ModelConfig> => {
  const parsed = parseObject("config", bytes, maxBytes);
  if (isLeft(parsed)) return parsed;
  const json = parsed.right;
  const known = checkFixed(json);
  if (isLeft(known)) return known;
  const config = all<ModelConfig>({
    hiddenSize: integer(json, "hidden_size"),
    intermediateSize: integer(json, "intermediate_size"),
    layers: integer(json, "num_hidden_layers", maxLayers),
    heads: integer(json, "num_attention_heads"),
    kvHeads: integer(json, "num_key_value_heads"),
    headDim: integer(json, "head_dim"),
    vocabSize: integer(json, "vocab_size"),
    contextLength: integer(json, "max_position_embeddings"),
    normEps: positive(json, "rms_norm_eps"),
    ropeTheta: positive(json, "rope_theta"),
    ropeInterleaved: truth(json, "rope_interleaved"),
  });
  return isLeft(config) ? config : checkConfig(config.right);
};

/** Shapes of one layer's tensors by the last part of their names; a matrix is [out, in]. */
const layerShapes = (c: ModelConfig): readonly (readonly [string, readonly number[]])[] => {
  const [q, kv] = [c.heads * c.headDim, c.kvHeads * c.headDim];
  return [
    ["input_layernorm.weight", [c.hiddenSize]],
    ["self_attn.q_proj.weight", [q, c.hiddenSize]],
    ["self_attn.k_proj.weight", [kv, c.hiddenSize]],
    ["self_attn.v_proj.weight", [kv, c.hiddenSize]],
    ["self_attn.o_proj.weight", [c.hiddenSize, q]],
    ["post_attention_layernorm.weight", [c.hiddenSize]],
    ["mlp.gate_proj.weight", [c.intermediateSize, c.hiddenSize]],
    ["mlp.down_proj.weight", [c.hiddenSize, c.intermediateSize]],
    ["mlp.up_proj.weight", [c.intermediateSize, c.hiddenSize]],
  ];
};

/** Every tensor of the model by name, layer by layer. */
export const tensorShapes = (c: ModelConfig): ReadonlyMap<string, readonly number[]> =>
  new Map([
    ["model.embed_tokens.weight", [c.vocabSize, c.hiddenSize]],
    ...Array.from({ length: c.layers }, (_, i) => i).flatMap((i) =>
      layerShapes(c).map(([name, shape]): [string, readonly number[]] => [
        `model.layers.${i}.${name}`,
        shape,
      ])
    ),
    ["model.norm.weight", [c.hiddenSize]],
  ]);

/** Checks that a file has each tensor of the model in its shape. Further tensors are allowed. */
export const checkWeights = (
  config: ModelConfig,
  weights: Weights,
): Either<ModelError, Weights> => {
  for (const [tensor, shape] of tensorShapes(config)) {
    const found = weights.get(tensor);
    if (found === undefined) return fail({ tag: "missing", tensor, shape });
    const have = found.shape;
    if (have.length !== shape.length || have.some((n, i) => n !== shape[i])) {
      return fail({ tag: "shape", tensor, want: shape, have });
    }
  }
  return right(weights);
};
