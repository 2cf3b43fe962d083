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
import { called } from "../cli/options.ts";
import { type Either, isLeft } from "../fp.ts";
import { orThrow } from "../models/errors.ts";
import { loadModel, loadTokenizer, tryReadFile, WIKI4M } from "../models/load.ts";
import { openRunner } from "../models/runner.ts";
import { adapted, beforeRope, chosen, fitted, listed, tryOwn } from "./compare/entries.ts";
import { measure, readText, sliced } from "./compare/measure.ts";
import { type Found, legendText, pageOf, type Setting, textTable } from "./compare/report.ts";
import { speeds } from "./compare/speed.ts";
import { machine, tableText } from "./harness.ts";
import { pageHtml } from "./page/html.ts";

const COMMAND = {
  usage: "deno task compare [options]",
  flags: {
    scheme: { wants: "FILE", many: true, says: "a module that exports codecs, or { k, v } of two" },
    only: { wants: "A,B", says: "schemes whose names begin so; all of them take minutes" },
    model: {
      wants: "FOLDER",
      says: "a LLaMA-like model in the layout of Hugging Face; the embedded one if not given",
    },
    text: { wants: "FILE", says: "what is read; an article on lighthouses if not given" },
    slices: {
      wants: "N",
      from: 1,
      otherwise: 3,
      says: "how many slices of it, and one more for schemes that are fitted",
    },
    long: {
      wants: "N",
      from: 1,
      otherwise: 16384,
      says: "tokens of the cache that speed is measured on",
    },
    page: { wants: "FILE", otherwise: "compare.html", says: "where the page goes" },
  },
} as const;
const TEXT = fileURLToPath(new URL("../models/text/lighthouses.txt", import.meta.url));

/** Decode steps that are timed. */
const ROUNDS = 11;

const say = (text: string): boolean => process.stderr.write(`${text}\n`);

/** What is given, or its error thrown. */
const valueOf = <A>(result: Either<Error, A>): A => {
  if (isLeft(result)) throw result.left;
  return result.right;
};

const main = async (): Promise<void> => {
  const { model: folder = fileURLToPath(WIKI4M), text: file = TEXT, ...given } =
    called(COMMAND).values;
  const { slices, long } = given;
  const own = [];
  for (const path of given.scheme) own.push(...valueOf(await tryOwn(path)));
  const text = new TextDecoder().decode(orThrow(tryReadFile(file)));
  const model = loadModel(folder);
  const runner = await openRunner(model);
  try {
    const { config } = runner;
    const ids = loadTokenizer(folder).encode(text).slice(1);
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
      model: basename(resolve(folder)),
      text: basename(file),
      slices,
      length: reading.slices[0]!.length,
      perplexity: reading.perplexity,
      long,
      machine: machine(),
      date: new Date().toISOString().slice(0, 10),
    };
    console.log(`${tableText(textTable(setting, found))}\n\n${legendText()}`);
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
  const { name, message, stack } = error as Error;
  const known =
    /^(ModelFailure|(NoScheme|SchemeFile|Usage|Compile|Device|Input|Shape|Value)Error)$/;
  say(known.test(name) ? `${name}: ${message}` : String(stack));
  process.exitCode = 1;
}
