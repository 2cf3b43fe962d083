/**
 * What the field says of schemes, asked of the embedded model: does the first lose less than the second? Mean
 * divergence from the f32 cache over the same tokens; a claim is told apart from chance where the mean of the
 * differences is more than two of its standard errors from 0. What needs long tasks to be seen is not asked.
 * @module
 */
import {
  bitsOf,
  type Codec,
  decoquantB,
  eoptshrink,
  hadamard,
  joinHeads,
  kivi,
  kvquant,
  lathe,
  mxfp4,
  nvfp4,
  on,
  oscar,
  preRope,
  q4_0,
  quantize,
  residual,
  type Rope,
  rtn,
  rtnGrouped,
  sketched,
  turboquant,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { cacheShape } from "../models/llama.ts";
import { score } from "../models/quality.ts";
import { ropeOf } from "../models/rope.ts";
import type { Runner } from "../models/runner.ts";
import { type Reading, readText, sliced } from "./compare/measure.ts";
import { openEmbedded } from "./embedded.ts";
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
const rotated = (codec: Codec): Codec => pipe(hadamard(), on("values", codec));
const rotatedToken = both("Hadamard + INT4 a token", rotated(token(4)));
const [decoquant4, decoquant2] = ([4, 2] as const).map((b) =>
  both(`DecoQuant ${b}`, decoquantB(b))
);
/** Values alike, in groups of 32 channels, so that keys alone differ. */
const { k: channels, v: groups } = kivi(2);
const kivi2: Way = { name: "KIVI 2", k: channels, v: groups };
const [four, two] = [rtnGrouped(4), rtnGrouped(2)];
const oscar2: Way = { name: "OSCAR, no basis", k: oscar("k"), v: oscar("v") };
const [turbo2, turbo3] = ([2, 3] as const).map((b) => both(`TurboQuant ${b}`, turboquant(b)));
/** The inner-product form: a bit less, and a sign of what is left. */
const signed = (bits: 1 | 2): Way =>
  both(`TurboQuant ${bits} + QJL of the rest`, residual(turboquant(bits), sketched(1)));
/** Keys alone, values in eight bits. */
const keys = (name: string, k: Codec): Way => ({ name, k, v: rtnGrouped(8) });

/** All of them, of a model that turns its keys so. */
const hypotheses = (rope: Rope): readonly Hypothesis[] => [
  {
    claim: "a rotation and INT4 a token lose less than DecoQuant at 4 bits",
    source: "numbers of arXiv 2604.19157 and 2405.12591",
    ways: [rotatedToken, decoquant4],
  },
  {
    claim: "a rotation helps INT4 a token",
    source: "arXiv 2604.19157",
    ways: [rotatedToken, both("INT4 a token", token(4))],
  },
  {
    claim: "a rotation helps q4_0",
    source: "llama.cpp #21038",
    ways: [both("Hadamard + q4_0", rotated(q4_0)), both("q4_0", q4_0)],
  },
  {
    claim: "DecoQuant loses less than RTN at 4 bits",
    source: "arXiv 2405.12591, table 2",
    ways: [decoquant4, both("RTN 4", rtn(4))],
  },
  {
    claim: "DecoQuant loses less than RTN at 2 bits",
    source: "arXiv 2405.12591, table 2",
    ways: [decoquant2, both("RTN 2", rtn(2))],
  },
  {
    claim: "groups of 32 channels lose less than DecoQuant at 4 bits",
    source: "arXiv 2405.12591 leaves them out",
    ways: [both("RTN g32 4", rtnGrouped(4, 32)), decoquant4],
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
  {
    claim: "a sign sketch of the rest hurts: 2 bits of centroids lose less than 1 and a sign",
    source: "vLLM #38479",
    ways: [turbo2, signed(1)],
  },
  {
    claim: "a sign sketch of the rest hurts: 3 bits of centroids lose less than 2 and a sign",
    source: "vLLM #38479",
    ways: [turbo3, signed(2)],
  },
  {
    claim: "a smaller squared error of keys is not enough: lathe's keys lose less than KVQuant's",
    source: "turboquant_plus",
    ways: [keys("lathe 4 keys", lathe(4)), keys("KVQuant 4 keys", kvquant(4))],
  },
  {
    claim: "small heads are harder: a rotation over two heads loses less than over one",
    source: "mlx-lm #1060",
    ways: [both("TurboQuant 2, joined heads", joinHeads(turboquant(2))), turbo2],
  },
  {
    claim: "OSCAR loses less than a rotation alone at 2 bits",
    source: "arXiv 2605.17757",
    ways: [oscar2, both("Hadamard + INT2 a token", rotated(token(2)))],
  },
  {
    claim: "TurboQuant 2 loses less than KIVI 2",
    source: "arXiv 2504.19874",
    ways: [turbo2, kivi2],
  },
  {
    claim: "KVQuant 3 loses less than KIVI 2",
    source: "arXiv 2401.18079, table 4",
    ways: [both("KVQuant 3", kvquant(3)), kivi2],
  },
  {
    claim: "keys before RoPE, ranges of channels: 3 bits lose less than after it",
    source: "arXiv 2401.18079, section 3.2",
    ways: [keys("KVQuant 3 keys", kvquant(3, { rope })), keys("after RoPE", kvquant(3))],
  },
  {
    claim: "keys before RoPE, ranges of tokens: 2 bits lose less than after it",
    source: "the same for no statistic along tokens",
    ways: [
      keys("RTN g64 2 keys", pipe(preRope(rope), on("values", two))),
      keys("after RoPE", two),
    ],
  },
  {
    claim: "of keys before RoPE their mean is enough: lathe's with all before it lose no less",
    source: "this project",
    ways: [
      keys("the mean, 2 bits", lathe(2, { rope })),
      keys("all, 2 bits", pipe(preRope(rope), on("values", lathe(2)))),
    ],
  },
  {
    claim: "eOptShrinkQ 2 loses less than TurboQuant 3",
    source: "arXiv 2605.02905",
    ways: [both("eOptShrinkQ 2", eoptshrink(2)), turbo3],
  },
  {
    claim: "NVFP4 loses less than MXFP4",
    source: "NVIDIA's blog",
    ways: [both("NVFP4", nvfp4), both("MXFP4", mxfp4())],
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
  const { runner, ids: all } = await openEmbedded();
  const ids = all.slice(1);
  try {
    const shape = cacheShape(runner.config);
    const most = quick ? 64 : runner.config.contextLength;
    const reading = await readText(runner, sliced(ids, quick ? 1 : 3, most));
    const [{ length: tokens }] = reading.slices;
    // A tail in full precision counts.
    const bits = ({ k, v }: Way): number =>
      (bitsOf(k, shape, { tokens }) + bitsOf(v, shape, { tokens })) / 2;
    const rows: Row[] = [];
    const found = new Map<Way, readonly number[]>();
    const once = async (way: Way): Promise<readonly number[]> => {
      const known = found.get(way) ?? await divergences(way, runner, reading);
      found.set(way, known);
      return known;
    };
    for (const { claim, source, ways } of hypotheses(ropeOf(runner.config))) {
      const [first, second] = [await once(ways[0]), await once(ways[1])];
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
