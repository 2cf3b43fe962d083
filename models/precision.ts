/**
 * What a run of a model may hold in few bits: the weights of its linear maps, fitted beforehand
 * (`compress.ts`), and their inputs, rounded as they come. The cache is a matter of each run.
 * @module
 */
import type { Codec, Tensor } from "../mod.ts";

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** Weights of linear maps as a scheme stores them, on a device. */
export interface FittedWeights {
  /** The scheme. */
  readonly name: string;
  /** What reads the parts. */
  readonly codec: Codec;
  /** Stored parts of each matrix, by its name in the model. */
  readonly parts: ReadonlyMap<string, Tensors>;
  /** Gains of norms that go with them. */
  readonly gains: ReadonlyMap<string, Tensor>;
  /** Bits a weight, derived from what is stored. */
  readonly bits: number;
  /** Gives their memory back. */
  readonly close: () => void;
}

/** Precision of weights and activations; f32 where nothing is said. */
export interface ModelPrecision {
  /** Weights of the linear maps; embedding and norms stay in f32. */
  readonly weights?: FittedWeights;
  /** Rounds the inputs `[tokens, channels]` of linear maps. */
  readonly activations?: Codec;
}

/** Names of tensors with a prefix. */
export const under = (name: string, parts: Tensors): Tensors =>
  Object.fromEntries(Object.entries(parts).map(([part, tensor]) => [`${name}.${part}`, tensor]));

/** Gives the memory of tensors back. */
export const disposeAll = (held: Iterable<Tensor>): void => {
  for (const tensor of held) tensor.dispose();
};

/** The tensors of the programs `project` and `layer` by the names that the formulas give them. */
export const PROJECT = {
  norm: "input_layernorm",
  wq: "self_attn.q_proj",
  wk: "self_attn.k_proj",
  wv: "self_attn.v_proj",
} as const;

/** See {@link PROJECT}. */
export const LAYER = {
  norm: "post_attention_layernorm",
  wo: "self_attn.o_proj",
  w1: "mlp.gate_proj",
  w2: "mlp.down_proj",
  w3: "mlp.up_proj",
} as const;

/** A layer's tensors for a formula: f32 weights, or the parts of those that are fitted. */
export const tensorsOf = (
  layer: number,
  names: Readonly<Record<string, string>>,
  weights: ReadonlyMap<string, Tensor>,
  fitted?: FittedWeights,
): Tensors =>
  Object.assign(
    {},
    ...Object.entries(names).map(([name, of]): Tensors => {
      const full = `model.layers.${layer}.${of}.weight`;
      const parts = fitted?.parts.get(full);
      return parts === undefined
        ? { [name]: (fitted?.gains.get(full) ?? weights.get(full))! }
        : under(name, parts);
    }),
  );
