/**
 * Makes `model.safetensors` and `config.json` from the f32 file that training wrote:
 *
 *     deno run -RW models/wiki4m/convert.ts <wiki4M.bin> <output folder>
 *
 * Weights are rounded once to f16, to nearest, ties to even. The rows of q and k are not permuted:
 * RoPE turns channels (2i, 2i+1), and the metadata says so. The output is the same on every run.
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { type ModelConfig, tensorShapes } from "../config.ts";
import { orThrow } from "../errors.ts";
import { encodeF16 } from "../half.ts";
import { parseLegacy } from "../legacy.ts";
import type { Weights } from "../weights.ts";

const metadata = {
  format: "pt",
  rope: "interleaved pairs (2i, 2i+1); rows of q_proj and k_proj are not permuted",
  precision: "trained in f32, rounded once to f16",
  license: "our own weights, MIT; trained on English Wikipedia articles, CC BY-SA",
};

/** A safetensors file of f16 tensors; the header is padded so that data begins at a multiple of 8. */
export const writeSafetensors = (
  weights: Weights,
  names: Iterable<string>,
  notes: Readonly<Record<string, string>>,
): Uint8Array => {
  const header: Record<string, unknown> = { __metadata__: notes };
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const name of names) {
    const { shape, data } = weights.get(name)!;
    const part = encodeF16(data);
    header[name] = { dtype: "F16", shape, data_offsets: [at, at + part.length] };
    parts.push(part);
    at += part.length;
  }
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8, " "));
  const out = new Uint8Array(8 + json.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  let to = 8 + json.length;
  for (const part of parts) {
    out.set(part, to);
    to += part.length;
  }
  return out;
};

/** The configuration in the Hugging Face spelling. */
export const writeConfig = (config: ModelConfig): string =>
  JSON.stringify(
    {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      hidden_size: config.hiddenSize,
      intermediate_size: config.intermediateSize,
      num_hidden_layers: config.layers,
      num_attention_heads: config.heads,
      num_key_value_heads: config.kvHeads,
      head_dim: config.headDim,
      vocab_size: config.vocabSize,
      max_position_embeddings: config.contextLength,
      rms_norm_eps: config.normEps,
      rope_theta: config.ropeTheta,
      rope_interleaved: config.ropeInterleaved,
      tie_word_embeddings: true,
      hidden_act: "silu",
      attention_bias: false,
      mlp_bias: false,
      bos_token_id: 1,
      eos_token_id: 2,
      torch_dtype: "float16",
    },
    null,
    2,
  ) + "\n";

if (import.meta.main) {
  const [source, folder] = process.argv.slice(2);
  if (source === undefined || folder === undefined) {
    console.error("usage: convert.ts <wiki4M.bin> <output folder>");
    process.exit(2);
  }
  const { config, weights } = orThrow(parseLegacy(readFileSync(source)));
  const names = tensorShapes(config).keys();
  writeFileSync(`${folder}/model.safetensors`, writeSafetensors(weights, names, metadata));
  writeFileSync(`${folder}/config.json`, writeConfig(config));
}
