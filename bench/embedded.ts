/**
 * The model that comes with this project, ready to run, and the text that benchmarks let it read.
 * @module
 */
import { readFileSync } from "node:fs";
import { loadModel, loadTokenizer, type Model, WIKI4M } from "../models/load.ts";
import { openRunner, type Runner } from "../models/runner.ts";

/** What a benchmark of quality starts from; the runner is its to close. */
export interface Embedded {
  readonly model: Model;
  readonly runner: Runner;
  /** The whole text, with the token that begins one. */
  readonly ids: ReturnType<ReturnType<typeof loadTokenizer>["encode"]>;
}

/** Opens the model, with its text. */
export const openEmbedded = async (): Promise<Embedded> => {
  const text = readFileSync(new URL("../models/text/lighthouses.txt", import.meta.url), "utf8");
  const model = loadModel(WIKI4M);
  return { model, runner: await openRunner(model), ids: loadTokenizer(WIKI4M).encode(text) };
};
