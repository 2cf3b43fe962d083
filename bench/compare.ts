/**
 * All schemes on a model's real cache: one table on the screen, one page that opens anywhere.
 *
 * ```text
 * deno task compare
 * deno task compare --scheme ./mine.ts --only mine,lathe   a scheme of your own among some of the others
 * deno task compare --text novel.txt --slices 5 --page report.html
 * ```
 *
 * A file of schemes exports codecs, or `{ k, v }` of two: see `compare/entries.ts`.
 * @module
 */
import { writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Either, isLeft } from "../fp.ts";
import { orThrow } from "../models/errors.ts";
import { loadModel, loadTokenizer, tryReadFile, WIKI4M } from "../models/load.ts";
import { openRunner } from "../models/runner.ts";
import { adapted, beforeRope, chosen, fitted, listed, tryOwn } from "./compare/entries.ts";
import { measure, readText, sliced } from "./compare/measure.ts";
import { type Found, pageOf, type Setting, textTable } from "./compare/report.ts";
import { speeds } from "./compare/speed.ts";
import { machine, tableText } from "./harness.ts";
import { pageHtml } from "./page/html.ts";

const OPTIONS = {
  scheme: { type: "string", multiple: true, default: [] as string[] },
  only: { type: "string" },
  model: { type: "string", default: fileURLToPath(WIKI4M) },
  text: {
    type: "string",
    default: fileURLToPath(new URL("../models/text/lighthouses.txt", import.meta.url)),
  },
  slices: { type: "string", default: "3" },
  long: { type: "string", default: "16384" },
  page: { type: "string", default: "compare.html" },
  help: { type: "boolean", default: false },
} as const;

/** Decode steps that are timed. */
const ROUNDS = 11;

const HELP = `deno task compare [options]
  --scheme FILE   a module whose exports are codecs, or { k, v } of two; may be given again
  --only A,B      schemes whose names begin so
  --model FOLDER  a LLaMA-like model in the Hugging Face layout (default: the embedded one)
  --text FILE     what is read
  --slices N      how many slices of it (default 3); one more is for schemes that are fitted
  --long N        tokens of the cache that speed is measured on (default 16384)
  --page FILE     where the page goes (default compare.html)`;

class UsageError extends Error {
  override readonly name = "UsageError";
}

const say = (text: string): boolean => process.stderr.write(`${text}\n`);

/** What is given, or its error thrown. */
const valueOf = <A>(result: Either<Error, A>): A => {
  if (isLeft(result)) throw result.left;
  return result.right;
};

/** A whole number that is at least 1. */
const count = (name: string, text: string): number => {
  const n = Number(text);
  if (Number.isInteger(n) && n > 0) return n;
  throw new UsageError(`--${name}: a whole number from 1 on is wanted, and "${text}" is given`);
};

const main = async (): Promise<void> => {
  const { values: given } = parseArgs({ options: OPTIONS });
  if (given.help) return console.log(HELP);
  const [slices, long] = [count("slices", given.slices), count("long", given.long)];
  const own = [];
  for (const path of given.scheme) own.push(...valueOf(await tryOwn(path)));
  const text = new TextDecoder().decode(orThrow(tryReadFile(given.text)));
  const model = loadModel(given.model);
  const runner = await openRunner(model);
  try {
    const { config } = runner;
    const ids = loadTokenizer(given.model).encode(text).slice(1);
    // The last slice is read by nobody else: it is what schemes are fitted to.
    const parts = sliced(ids, slices + 1, config.contextLength);
    const all = [
      ...own,
      ...listed(),
      ...beforeRope(model.config),
      ...await fitted(runner, model, parts[slices]!),
      ...await adapted(runner, parts[slices]!),
    ];
    const entries = valueOf(chosen(all, given.only?.split(",")));
    const reading = await readText(runner, parts.slice(0, slices));
    const sizes = { kv: config.kvHeads, group: config.heads / config.kvHeads, dim: config.headDim };
    say(`decode steps on ${long} tokens`);
    const took = await speeds(entries, sizes, long, ROUNDS);
    const found: Found[] = [];
    for (const [i, entry] of entries.entries()) {
      const quality = await measure(entry, runner, reading);
      found.push({ ...entry, ...quality, ...took[i]! });
      say(`${i + 1} of ${entries.length}: ${entry.name}`);
    }
    const setting: Setting = {
      model: basename(resolve(given.model)),
      text: basename(given.text),
      slices,
      length: reading.slices[0]!.length,
      perplexity: reading.perplexity,
      long,
      machine: machine(),
      date: new Date().toISOString().slice(0, 10),
    };
    console.log(tableText(textTable(setting, found)));
    writeFileSync(given.page, pageHtml(pageOf(setting, found)));
    console.log(`\nthe same as a page: ${given.page}`);
  } finally {
    runner.close();
  }
};

try {
  await main();
} catch (error) {
  // Errors of this project say what disagrees; anything else is a bug and shows where.
  const { name, message, stack, code } = error as Error & { readonly code?: string };
  const known =
    /^(ModelFailure|(NoScheme|SchemeFile|Usage|Compile|Device|Input|Shape|Value)Error)$/;
  const usage = code?.startsWith("ERR_PARSE_ARGS") === true;
  say(usage ? message : known.test(name) ? `${name}: ${message}` : String(stack));
  process.exitCode = 1;
}
