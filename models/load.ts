/**
 * A model from a folder in the Hugging Face layout, from the bytes of its files, or from one file in
 * the legacy layout. Whatever the source, the tensors are checked against the configuration.
 * @module
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Either, isLeft, right } from "../fp.ts";
import { checkWeights, type ModelConfig, parseConfig } from "./config.ts";
import { fail, type ModelError, orThrow } from "./errors.ts";
import { parseLegacy } from "./legacy.ts";
import { parseSafetensors } from "./safetensors.ts";
import { parseTokenizer, type Tokenizer } from "./tokenizer.ts";
import type { Weights } from "./weights.ts";

/** Sizes and tensors that fit each other. */
export interface Model {
  /** The sizes. */
  readonly config: ModelConfig;
  /** Every tensor that the sizes ask for. */
  readonly weights: Weights;
}

/** Bytes of a model's files; `legacy` is one file that carries its sizes. */
export type ModelFiles =
  | { readonly config: Uint8Array; readonly weights: Uint8Array }
  | { readonly legacy: Uint8Array };

/** The model that comes with this project. */
export const WIKI4M: URL = new URL("./wiki4m/", import.meta.url);

const join = (folder: string | URL, name: string): string => {
  const path = typeof folder === "string" ? folder : fileURLToPath(folder);
  return path.endsWith("/") ? path + name : `${path}/${name}`;
};

/** The bytes of a file, with the error as a value. */
export const tryReadFile = (path: string): Either<ModelError, Uint8Array> => {
  try {
    return right(readFileSync(path));
  } catch (thrown) {
    // The reason alone: the message of a runtime repeats the path, each in its own way.
    const why = (thrown as { readonly code?: string }).code ?? "cannot be read";
    return fail({ tag: "file", path, why: why === "ENOENT" ? "there is no such file" : why });
  }
};

const fromFolder = (folder: string | URL): Either<ModelError, ModelFiles> => {
  const config = tryReadFile(join(folder, "config.json"));
  if (isLeft(config)) return config;
  const weights = tryReadFile(join(folder, "model.safetensors"));
  return isLeft(weights) ? weights : right({ config: config.right, weights: weights.right });
};

const parse = (files: ModelFiles): Either<ModelError, Model> => {
  if ("legacy" in files) return parseLegacy(files.legacy);
  const config = parseConfig(files.config);
  if (isLeft(config)) return config;
  const weights = parseSafetensors(files.weights);
  return isLeft(weights) ? weights : right({ config: config.right, weights: weights.right });
};

/** Reads and checks a model, with the error as a value. */
export const tryLoadModel = (source: string | URL | ModelFiles): Either<ModelError, Model> => {
  const named = typeof source === "string" || source instanceof URL;
  const files = named ? fromFolder(source) : right(source);
  if (isLeft(files)) return files;
  const model = parse(files.right);
  if (isLeft(model)) return model;
  const { config, weights } = model.right;
  const checked = checkWeights(config, weights);
  return isLeft(checked) ? checked : right({ config, weights });
};

/** Reads and checks a model, or throws `ModelFailure`. */
export const loadModel = (source: string | URL | ModelFiles): Model =>
  orThrow(tryLoadModel(source));

/** The `tokenizer.json` of a folder, with the error as a value. */
export const tryLoadTokenizer = (folder: string | URL): Either<ModelError, Tokenizer> => {
  const bytes = tryReadFile(join(folder, "tokenizer.json"));
  return isLeft(bytes) ? bytes : parseTokenizer(bytes.right);
};

/** The `tokenizer.json` of a folder, or throws `ModelFailure`. */
export const loadTokenizer = (folder: string | URL): Tokenizer => orThrow(tryLoadTokenizer(folder));
