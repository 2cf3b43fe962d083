/**
 * What a compressed cache costs a real model: the embedded one reads a text on caches held by several
 * schemes, and one table says what each saves and what it breaks.
 *
 * deno task demo   or   bun examples/demo.ts   or   deno run -A examples/demo.ts <text file>
 */
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  attend,
  bitsOf,
  cached,
  type Codec,
  compile,
  decoquantB,
  identity,
  input,
  lathe,
  rtn,
  rtnGrouped,
  type Tensor,
  upload,
  wasm,
} from "kvfold";
import { called } from "../cli/options.ts";
import { orThrow } from "../models/errors.ts";
import { cacheShape } from "../models/llama.ts";
import { loadModel, loadTokenizer, tryReadFile, WIKI4M } from "../models/load.ts";
import { errorOf, meanKld, perplexity, sameTop, score } from "../models/quality.ts";
import { ropeOf } from "../models/rope.ts";
import { openRunner, type Run } from "../models/runner.ts";

const TEXT = fileURLToPath(new URL("../models/text/lighthouses.txt", import.meta.url));

const MODEL = loadModel(WIKI4M);

/** What holds keys, and what values. */
interface Held {
  readonly k: Codec;
  readonly v: Codec;
}
const both = (codec: Codec): Held => ({ k: codec, v: codec });

/** A scheme of this project: what keys have in common is taken out before the model's RoPE turns it. */
const ownScheme = (bits: 2 | 3 | 4): Held => ({
  k: lathe(bits, { rope: ropeOf(MODEL.config) }),
  v: lathe(bits),
});

/** One row each: change the bits (8, 4, 2), or add a scheme of your own. */
const SCHEMES: readonly (readonly [name: string, held: Held])[] = [
  ["f32", both(identity)],
  ["RTN 8", both(rtn(8))],
  ["RTN g64 8", both(rtnGrouped(8, 64))],
  ["DecoQuant B 8", both(decoquantB(8))],
  ["RTN 4", both(rtn(4))],
  ["RTN g64 4", both(rtnGrouped(4, 64))],
  ["DecoQuant B 4", both(decoquantB(4))],
  ["lathe 4", ownScheme(4)],
  ["RTN 3", both(rtn(3))],
  ["RTN g64 3", both(rtnGrouped(3, 64))],
  ["DecoQuant B 3", both(decoquantB(3))],
  ["lathe 3", ownScheme(3)],
  ["RTN 2", both(rtn(2))],
  ["RTN g64 2", both(rtnGrouped(2, 64))],
  ["DecoQuant B 2", both(decoquantB(2))],
  ["lathe 2", ownScheme(2)],
];

/** Tokens of the text, and of the long cache that attention is timed on. */
const [WINDOW, LONG, ROUNDS] = [1024, 16384, 9];

const say = (text: string): boolean => process.stderr.write(`${text}\n`);

/** The middle one. */
const median = (xs: readonly number[]): number => xs.toSorted((a, b) => a - b)[xs.length >> 1]!;

/** Decode attention on a long cache of every scheme, round by round: median milliseconds, kernels. */
const timed = async (
  shape: readonly [number, string, number],
  queries: number,
  k: Float64Array,
  v: Float64Array,
): Promise<readonly { readonly ms: number; readonly kernels: number }[]> => {
  const [kv, , d] = shape;
  // The text's own keys and values, over and over.
  const long = (x: Float64Array): Tensor => {
    const [head, all] = [x.length / kv, LONG * d];
    const data = Float64Array.from(
      { length: kv * all },
      (_, i) => x[Math.floor(i / all) * head + i % all % head]!,
    );
    return upload(wasm(), "long", "f32", [kv, LONG, d], data);
  };
  const [keys, values] = [long(k), long(v)];
  const q = Float64Array.from({ length: queries * d }, (_, i) => Math.cos(i));
  const schemes = await Promise.all(SCHEMES.map(async ([, held]) => {
    const program = await compile({
      out: attend({
        q: input("q", [kv, queries / kv, 1, d], "f32"),
        k: cached(held.k, "k", shape),
        v: cached(held.v, "v", shape),
      }),
    });
    const inputs: Record<string, Tensor | Float64Array> = { q };
    for (const [name, x] of [["k", keys], ["v", values]] as const) {
      const encode = await compile({ ...held[name].encode(input("x", shape, "f32")) });
      for (const [part, tensor] of Object.entries(await encode.run({ x }))) {
        inputs[`${name}.${part}`] = tensor;
      }
    }
    return { program, inputs, times: [] as number[] };
  }));
  for (let round = -1; round < ROUNDS; round++) {
    for (const { program, inputs, times } of schemes) {
      const start = performance.now();
      const { out } = await program.run(inputs);
      // The first round warms up.
      if (round >= 0) times.push(performance.now() - start);
      out!.dispose();
    }
  }
  return schemes.map(({ program, times }) => ({
    ms: median(times),
    kernels: program.structure.kernels.length,
  }));
};

const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")
  ).join("\n");
};

const main = async (): Promise<void> => {
  const start = performance.now();
  const runner = await openRunner(MODEL);
  const { config } = runner;
  const { words: [path = TEXT] } = called({
    usage: "deno task demo [text file]",
    words: 1,
    flags: {},
  });
  const text = new TextDecoder().decode(orThrow(tryReadFile(path)));
  // The model was trained on running text: no token is put in front.
  const tokens = loadTokenizer(WIKI4M).encode(text).slice(1, 1 + WINDOW);
  const shape = cacheShape(config);
  const halves = 2 * 2 * config.layers * config.kvHeads * config.headDim * tokens.length;

  say(`model ready after ${((performance.now() - start) / 1000).toFixed(1)} s`);
  const runs: Run[] = [];
  for (const [name, held] of SCHEMES) {
    const begin = performance.now();
    runs.push(await runner.run(tokens, held, { see: true }));
    say(`${name}: ${tokens.length} tokens in ${((performance.now() - begin) / 1000).toFixed(1)} s`);
  }
  say(`attention on ${LONG} tokens, ${ROUNDS} rounds`);
  const last = runs[0]!.layers[config.layers - 1]!.seen!;
  const times = await timed(shape, config.heads, last.k[0], last.v[0]);

  const scores = runs.map(({ logits }) =>
    score(logits, runs[0]!.logits, config.vocabSize, tokens.slice(1))
  );
  const base = perplexity(scores[0]!);
  const percent = (x: number, digits: number): string => `${(100 * x).toFixed(digits)} %`;
  const rows = SCHEMES.map(([name, { k, v }], i) => {
    const [run, found] = [runs[i]!, scores[i]!];
    const bytes = run.layers.reduce((n, layer) => n + layer.kBytes + layer.vBytes, 0);
    const [bitsK, bitsV] = [k, v].map((codec) => bitsOf(codec, shape, { tokens: tokens.length }));
    const errors = (["k", "v", "attention"] as const).map((what) =>
      percent(errorOf(run.layers, what), 2)
    );
    return [
      name,
      ((bitsK! + bitsV!) / 2).toFixed(3),
      ...errors,
      `${perplexity(found) >= base ? "+" : ""}${percent(perplexity(found) / base - 1, 2)}`,
      meanKld(found).toFixed(5),
      percent(sameTop(found), 1),
      `${(bytes / 1024).toFixed(0)} KiB`,
      percent(bytes / halves, 0),
      `${times[i]!.kernels}`,
      `${(times[0]!.ms / times[i]!.ms).toFixed(2)} x`,
    ];
  });
  console.log(
    `wiki4m, ${config.layers} layers, reading ${tokens.length} tokens on the stored cache; ` +
      `perplexity ${base.toFixed(3)} on f32\n`,
  );
  console.log(table([
    [
      "scheme",
      "bits/value",
      "error K",
      "error V",
      "error attn",
      "ΔPPL",
      "KLD",
      "same top-1",
      "cache",
      "of f16",
      "kernels",
      "speed",
    ],
    ...rows,
  ]));
  console.log(`
bits/value  derived from what is stored of ${tokens.length} tokens
error       ‖x − x̂‖ / ‖x‖ over all layers: K after RoPE, V, and attention's output for the same queries
kernels     of one decode step of attention, straight from the stored parts
speed       of that step against f32, one query on ${LONG} tokens: ${
    times[0]!.ms.toFixed(2)
  } ms on f32, median of ${ROUNDS} (${wasm().description})
lathe       this project's own, no calibration: keys less their mean before RoPE (docs/schemes.md)

Next, three things to try:
  deno run -A examples/decoquant.ts   a scheme, its kernels and its rules on one screen
  SCHEMES in examples/demo.ts         change the bits, or add a scheme of your own
  deno task bench                     speed and quality, measured with care`);
  say(`\n${((performance.now() - start) / 1000).toFixed(1)} s`);
};

try {
  await main();
} catch (error) {
  // Errors of this project say what disagrees; anything else is a bug and shows where.
  const known = error instanceof Error &&
    /^(ModelFailure|(Compile|Device|Input|Shape|Value)Error)$/.test(error.name);
  say(known ? `${error.name}: ${error.message}` : String((error as Error).stack ?? error));
  process.exitCode = 1;
}
