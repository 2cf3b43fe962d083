/**
 * Fine-tunes the embedded model for a cache in 2 bits, on text that it writes itself, and says what that
 * recovers on a text that it never read. As it is a few short steps, which teach it nothing but those few
tokens; the true run takes minutes:
 *
 * deno task finetune   or   deno task finetune --scheme decoquantB --steps 96
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
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
import { orThrow } from "../models/errors.ts";
import { finetune } from "../models/finetune.ts";
import { cacheShape } from "../models/llama.ts";
import { loadModel, loadTokenizer, type Model, tryReadFile, WIKI4M } from "../models/load.ts";
import { meanKld, perplexity, score } from "../models/quality.ts";
import { openRunner } from "../models/runner.ts";
import { sampled } from "../models/sample.ts";

const { values: given } = parseArgs({
  options: {
    scheme: { type: "string", default: "rtnGrouped" },
    bits: { type: "string", default: "2" },
    windows: { type: "string", default: "2" },
    tokens: { type: "string", default: "32" },
    steps: { type: "string", default: "3" },
    rate: { type: "string", default: "3e-4" },
    seed: { type: "string", default: "1" },
    read: { type: "string", default: "128" },
    text: {
      type: "string",
      default: fileURLToPath(new URL("../models/text/lighthouses.txt", import.meta.url)),
    },
  },
});

const say = (text: string): boolean => process.stderr.write(`${text}\n`);

const stop = (why: string): never => {
  say(why);
  process.exit(1);
};

/** A number from `least` on. */
const number = (name: keyof typeof given, least: number, whole = true): number => {
  const n = Number(given[name]);
  const fits = n >= least && (!whole || Number.isInteger(n));
  return fits ? n : stop(`--${name}: a number from ${least} on is wanted, not "${given[name]}"`);
};

const [bits, steps, seed] = [number("bits", 1), number("steps", 1), number("seed", 0)];
const name = given.scheme as SchemeName;
if (!WIDTHS[name]?.includes(bits as Bits)) {
  stop(`--scheme ${name} --bits ${bits}: wanted is one of ${Object.keys(SCHEMES).join(", ")}`);
}
const codec = SCHEMES[name](bits as Bits);
const model = loadModel(WIKI4M);
const device = openWasm({ threads: "all" });
const text = new TextDecoder().decode(orThrow(tryReadFile(given.text)));
const heldOut = loadTokenizer(WIKI4M).encode(text).slice(1, 1 + number("read", 2));

const start = performance.now();
const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(0)} s`;
const windows = await sampled(model, {
  windows: number("windows", 1),
  tokens: number("tokens", 2),
  seed,
}, device);
say(`${windows.length} windows of ${given.tokens} tokens written after ${seconds()}`);
const tuned = await finetune(model, { k: codec, v: codec }, windows, {
  steps,
  rate: number("rate", 0, false),
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
