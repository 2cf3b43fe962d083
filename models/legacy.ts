/**
 * The flat "legacy" layout of llama2.c: seven int32 sizes, then every tensor as f32 with no names,
 * each kind for all layers in turn. The sizes alone fix the file's length, so it must match to the
 * byte. The file says nothing of eps, theta or RoPE's pairing: they are what that program uses.
 *
 * Before: `dim, hidden, layers, heads, kv_heads, vocab, seq_len` and numbers.
 * After: the same names and shapes as a safetensors file.
 * Does not do yet: untied heads, which the layout marks by a negative vocabulary size.
 * @module
 */
import { type Either, isLeft, right } from "../fp.ts";
import { checkConfig, type ModelConfig, tensorShapes } from "./config.ts";
import { fail, type ModelError, show } from "./errors.ts";
import { type Weight, weight, type Weights } from "./weights.ts";

/** A file that carries its own configuration. */
export type LegacyModel = { readonly config: ModelConfig; readonly weights: Weights };

/** The sizes in file order, each with its bound. */
const fields = [
  ["dim", 1 << 16],
  ["hidden", 1 << 20],
  ["layers", 1024],
  ["heads", 1 << 16],
  ["kv_heads", 1 << 16],
  ["vocab", 1 << 24],
  ["seq_len", 1 << 24],
] as const;

const headerBytes = 4 * fields.length;

/** The kinds of a layer's tensors in file order. */
const kinds = [
  "input_layernorm",
  "self_attn.q_proj",
  "self_attn.k_proj",
  "self_attn.v_proj",
  "self_attn.o_proj",
  "post_attention_layernorm",
  "mlp.gate_proj",
  "mlp.down_proj",
  "mlp.up_proj",
] as const;

/** The names in file order: kind by kind, in each kind layer by layer. */
const order = (layers: number): readonly string[] => [
  "model.embed_tokens.weight",
  ...kinds.flatMap((kind) =>
    Array.from({ length: layers }, (_, i) => `model.layers.${i}.${kind}.weight`)
  ),
  "model.norm.weight",
];

const parseHeader = (view: DataView): Either<ModelError, ModelConfig> => {
  const sizes = fields.map((_, i) => view.getInt32(4 * i, true));
  for (const [i, [where, limit]] of fields.entries()) {
    const have = sizes[i]!;
    if (have < 1) {
      return fail({ tag: "value", where, want: "a positive integer", have: show(have) });
    }
    if (have > limit) return fail({ tag: "limit", where, limit, have });
  }
  const [dim, hidden, layers, heads, kvHeads, vocab, seqLen] = sizes as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (dim % heads !== 0) {
    return fail({
      tag: "value",
      where: "dim",
      want: `a multiple of heads, ${heads}`,
      have: `${dim}`,
    });
  }
  return checkConfig({
    hiddenSize: dim,
    intermediateSize: hidden,
    layers,
    heads,
    kvHeads,
    headDim: dim / heads,
    vocabSize: vocab,
    contextLength: seqLen,
    normEps: 1e-5,
    ropeTheta: 10000,
    ropeInterleaved: true,
  });
};

/** Reads a file in the legacy layout. The bytes are borrowed, as in `parseSafetensors`. */
export const parseLegacy = (bytes: Uint8Array): Either<ModelError, LegacyModel> => {
  const have = bytes.length;
  if (have < headerBytes) return fail({ tag: "length", where: "sizes", need: headerBytes, have });
  const config = parseHeader(new DataView(bytes.buffer, bytes.byteOffset, headerBytes));
  if (isLeft(config)) return config;
  const { layers, contextLength, headDim } = config.right;
  const shapes = tensorShapes(config.right);
  const bytesOf = (name: string): number => shapes.get(name)!.reduce((n, dim) => n * dim, 4);
  // Two tables of RoPE follow the tensors; they are computed, not read.
  const tables = 4 * contextLength * headDim;
  const need = order(layers).reduce((n, name) => n + bytesOf(name), headerBytes + tables);
  if (have !== need) return fail({ tag: "length", where: "legacy file", need, have });
  let at = headerBytes;
  const weights = new Map(
    order(layers).map((name): [string, Weight] => {
      const begin = at;
      at += bytesOf(name);
      return [name, weight(shapes.get(name)!, "F32", bytes.subarray(begin, at))];
    }),
  );
  return right({ config: config.right, weights });
};
