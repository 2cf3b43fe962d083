/**
 * Fine-tunes the embedded model for a cache in 2 bits, on text that it writes itself, and says what that
 * recovers on a text that it never read. As it is a few short steps, which teach it nothing but those few
 * tokens; the true run takes minutes:
 *
 * deno task finetune   or   deno task finetune --scheme decoquantB --steps 96
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  type Bits,
  bitsOf,
  type Codec,
  identity,
  openWasm,
  type SchemeName,
  SCHEMES,
  WIDTHS,
} from "kvfold";
import { called, stop, UsageError } from "../cli/options.ts";
import { orThrow } from "../models/errors.ts";
import { finetune } from "../models/finetune.ts";
import { cacheShape } from "../models/llama.ts";
import { loadModel, loadTokenizer, type Model, tryReadFile, WIKI4M } from "../models/load.ts";
import { meanKld, perplexity, score } from "../models/quality.ts";
import { openRunner } from "../models/runner.ts";
import { sampled } from "../models/sample.ts";

const TEXT = fileURLToPath(new URL("../models/text/lighthouses.txt", import.meta.url));

const { values: given } = called({
  usage: "deno task finetune [options]",
  flags: {
    scheme: { wants: "NAME", otherwise: "rtnGrouped", says: Object.keys(SCHEMES).join(", ") },
    bits: { wants: "B", from: 1, otherwise: 2, says: "bits of a code" },
    windows: { wants: "N", from: 1, otherwise: 2, says: "texts that it writes itself" },
    tokens: { wants: "N", from: 2, otherwise: 32, says: "tokens of each" },
    steps: { wants: "N", from: 1, otherwise: 3, says: "steps of the optimizer" },
    rate: { wants: "X", otherwise: "3e-4", says: "its rate" },
    seed: { wants: "N", from: 0, otherwise: 1, says: "of what it writes" },
    read: { wants: "N", from: 2, otherwise: 128, says: "tokens of the text that is judged by" },
    text: { wants: "FILE", says: "that text; an article on lighthouses if not given" },
  },
});

const say = (text: string): boolean => process.stderr.write(`${text}\n`);

const rate = Number(given.rate);
if (!(rate > 0)) stop(new UsageError(`--rate: "${given.rate}" is no number above 0`));
const { bits, steps, seed } = given;
const name = given.scheme as SchemeName;
if (!Object.hasOwn(WIDTHS, name)) {
  stop(new UsageError(`--scheme: "${name}" is none of ${Object.keys(SCHEMES).join(", ")}`));
}
if (!WIDTHS[name].includes(bits as Bits)) {
  stop(new UsageError(`--bits: ${name} has codes of ${WIDTHS[name].join(", ")} bits, not ${bits}`));
}
const codec = SCHEMES[name](bits as Bits);
const model = loadModel(WIKI4M);
const device = openWasm({ threads: "all" });
const text = new TextDecoder().decode(orThrow(tryReadFile(given.text ?? TEXT)));
const heldOut = loadTokenizer(WIKI4M).encode(text).slice(1, 1 + given.read);

const start = performance.now();
const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`;
const windows = await sampled(model, {
  windows: given.windows,
  tokens: given.tokens,
  seed,
}, device);
say(`${windows.length} windows of ${given.tokens} tokens written after ${seconds()}`);
const tuned = await finetune(model, { k: codec, v: codec }, windows, {
  steps,
  rate,
  said: (step, kld) => say(`step ${step} of ${steps}: KLD ${kld.toFixed(4)}, ${seconds()}`),
}, device);

/** Logits of the text that was not read before. */
const read = async (of: Model, cache: Codec): Promise<Float32Array> => {
  const runner = await openRunner(of, device);
  const { logits } = await runner.run(heldOut, { k: cache, v: cache });
  runner.close();
  return logits;
};

const exact = await read(model, identity);
const shape = cacheShape(model.config);
console.log(
  `${name}(${bits}), ${bitsOf(codec, shape).toFixed(3)} bits a value; ${steps} steps on ` +
    `${windows.length} windows of ${given.tokens} tokens of the model's own; ` +
    `${heldOut.length} tokens held out\n`,
);
for (
  const [what, logits] of [
    ["as it was, f32 cache", exact],
    ["as it was, stored cache", await read(model, codec)],
    ["fine-tuned, stored cache", await read(tuned, codec)],
    ["fine-tuned, f32 cache", await read(tuned, identity)],
  ] as const
) {
  const found = score(logits, exact, model.config.vocabSize, heldOut.slice(1));
  console.log(
    `${what.padEnd(26)} perplexity ${perplexity(found).toFixed(3)}  KLD ${
      meanKld(found).toFixed(5)
    }`,
  );
}
say(`all after ${seconds()}`);
device.close();
