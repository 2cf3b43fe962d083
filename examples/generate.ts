/**
 * Greedy generation token by token, on a cache that grows and on one of bounded memory, which forgets: what each
 * takes and how fast it goes.
 *
 * deno run -A examples/generate.ts   or   bun examples/generate.ts
 */
import { f16, heavyHitters, identity, kivi, movingWindow, rtnGrouped, window } from "kvfold";
import { largest, openGenerator } from "../models/generate.ts";
import { loadModel, loadTokenizer, WIKI4M } from "../models/load.ts";
import type { Cached } from "../models/caches.ts";
import type { Codecs } from "../models/runner.ts";

const NEW = 48;
const model = loadModel(WIKI4M);
const tokenizer = loadTokenizer(WIKI4M);
const prompt = tokenizer.encode("The lighthouse stands on a rock above the sea and");

const both = (codec: Codecs["k"]): Codecs => ({ k: codec, v: codec });
const CACHES: readonly (readonly [string, Cached])[] = [
  ["f32", both(identity)],
  ["f16", both(f16)],
  ["4 bits, newest 16 in f16", both(window({ tail: 16, sinks: 2 }, rtnGrouped(4, 16)))],
  ["KIVI, 2 bits", kivi(2, 16, 16)],
  ["4 bits, of 32 tokens: 4 first, 28 newest", movingWindow({ recent: 28 }, rtnGrouped(4))],
  ["4 bits, of 32 tokens: 16 heavy, 16 newest", heavyHitters({ heavy: 16 }, rtnGrouped(4))],
];

for (const [name, codecs] of CACHES) {
  const generator = await openGenerator(model, codecs);
  const ids: number[] = [];
  let next = largest(await generator.feed(prompt));
  // The first steps compile what is compiled.
  let start = performance.now();
  for (let i = 0; i < NEW; i++) {
    if (i === NEW / 2) start = performance.now();
    ids.push(next);
    next = largest(await generator.feed([next]));
  }
  const rate = NEW / 2 / (performance.now() - start) * 1000;
  const kib = (generator.bytes() / 1024).toFixed(0);
  console.log(`${name}: ${rate.toFixed(0)} tokens/s, ${generator.tokens()} tokens in ${kib} KiB`);
  console.log(`  ${tokenizer.decode(ids)}\n`);
  generator.close();
}
