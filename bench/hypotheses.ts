/**
 * What the field says of schemes, asked of the embedded model: does the first lose less than the second? Mean
 * divergence from the f32 cache over the same tokens; a claim is told apart from chance where the mean of the
 * differences is more than two of its standard errors from 0.
 * @module
 */
import { readFileSync } from "node:fs";
import {
  bitsOf,
  type Codec,
  decoquantB,
  hadamard,
  kivi,
  on,
  quantize,
  rtn,
  rtnGrouped,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { cacheShape } from "../models/llama.ts";
import { loadModel, loadTokenizer, WIKI4M } from "../models/load.ts";
import { score } from "../models/quality.ts";
import { openRunner, type Runner } from "../models/runner.ts";
import { type Reading, readText, sliced } from "./compare/measure.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

interface Way {
  readonly name: string;
  readonly k: Codec;
  readonly v: Codec;
}

/** The first is said to lose less than the second. */
interface Hypothesis {
  readonly claim: string;
  readonly source: string;
  readonly ways: readonly [Way, Way];
}

const both = (name: string, codec: Codec): Way => ({ name, k: codec, v: codec });

/** One scale and minimum a token and head. */
const token = (bits: 2 | 4): Codec => quantize({ bits, per: "token", range: "asymmetric" });
const rotatedToken = both("Hadamard + INT4 a token", pipe(hadamard(), on("values", token(4))));
const decoquant = both("DecoQuant 4", decoquantB(4));
/** Values alike, in groups of 32 channels, so that keys alone differ. */
const { k: channels, v: groups } = kivi(2);
const [four, two] = [rtnGrouped(4), rtnGrouped(2)];

const HYPOTHESES: readonly Hypothesis[] = [
  {
    claim: "a rotation and INT4 a token lose less than DecoQuant at 4 bits",
    source: "numbers of arXiv 2604.19157 and 2405.12591",
    ways: [rotatedToken, decoquant],
  },
  {
    claim: "DecoQuant loses less than RTN at 4 bits",
    source: "arXiv 2405.12591, table 2",
    ways: [decoquant, both("RTN 4", rtn(4))],
  },
  {
    claim: "keys at 2 bits: a channel loses less than a token",
    source: "arXiv 2402.02750",
    ways: [
      { name: "32 tokens of a channel", k: channels, v: groups },
      { name: "32 channels of a token", k: groups, v: groups },
    ],
  },
  {
    claim: "keys need more bits than values: K4V2 loses less than K2V4",
    source: "arXiv 2502.15075",
    ways: [{ name: "K4V2", k: four, v: two }, { name: "K2V4", k: two, v: four }],
  },
];

/** KLD of every token on a cache held so. */
const divergences = async (
  { k, v }: Way,
  runner: Runner,
  { slices, exact }: Reading,
): Promise<readonly number[]> => {
  const each: number[] = [];
  for (const [i, slice] of slices.entries()) {
    const { logits } = await runner.run(slice, { k, v });
    each.push(
      ...score(logits, exact[i]!.logits, runner.config.vocabSize, slice.slice(1)).apart,
    );
  }
  return each;
};

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

/** Is the mean of the differences below 0, above it, or neither for sure? */
const verdict = (first: readonly number[], second: readonly number[]): string => {
  const apart = first.map((x, i) => x - second[i]!);
  const middle = mean(apart);
  const deviation = Math.sqrt(mean(apart.map((x) => (x - middle) ** 2)) / apart.length);
  if (Math.abs(middle) <= 2 * deviation) return "not told apart";
  return middle < 0 ? "confirmed" : "refuted";
};

/** The question of the head of the file. */
export const hypothesesBench: Benchmark = async ({ quick }: Ask) => {
  const text = readFileSync(new URL("../models/text/lighthouses.txt", import.meta.url), "utf8");
  const ids = loadTokenizer(WIKI4M).encode(text).slice(1);
  const runner = await openRunner(loadModel(WIKI4M));
  try {
    const shape = cacheShape(runner.config);
    const most = quick ? 64 : runner.config.contextLength;
    const reading = await readText(runner, sliced(ids, quick ? 1 : 3, most));
    const [{ length: tokens }] = reading.slices;
    // A tail in full precision counts.
    const bits = ({ k, v }: Way): number =>
      (bitsOf(k, shape, { tokens }) + bitsOf(v, shape, { tokens })) / 2;
    const rows: Row[] = [];
    for (const { claim, source, ways } of HYPOTHESES) {
      const [first, second] = [
        await divergences(ways[0], runner, reading),
        await divergences(ways[1], runner, reading),
      ];
      rows.push({
        claim,
        source,
        first: `${ways[0].name}, ${bits(ways[0]).toFixed(2)} bits`,
        KLD: mean(first),
        second: `${ways[1].name}, ${bits(ways[1]).toFixed(2)} bits`,
        "KLD ": mean(second),
        verdict: verdict(first, second),
      });
    }
    return [{ title: `claims on wiki4m, ${reading.slices.length} × ${tokens} tokens`, rows }];
  } finally {
    runner.close();
  }
};
