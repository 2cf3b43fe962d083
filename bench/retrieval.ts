/**
 * What does a cache that forgets cost where a token far back is needed? Two models, the same caches.
 *
 * - **A needle**: the model that copies by hand (`models/copier.ts`) reads a text of tokens at random in which one
 *   run `a b c d` stands once, and then `a b c` again. Right is who says c, and d; they lie further back than any
 *   budget. `asked`: `a` is the last token of the prompt; `later`: the prompt ends before it. A cache that decides
 *   at each step, or never, knows no prompt: both are one run.
 * - **A passage**: the embedded model reads a passage four times, 64 tokens of another text, and the passage once
 *   more. `gain` is how much likelier the passage is than after another one four times, in nats a token: what it
 *   took from far back. `kept` is the share of the gain on the exact cache.
 *
 * A cache that decides at each step takes eight tokens a step.
 *
 * `tokens` are those that are held of all when the text ends, what came behind the prompt among them where a cache
 * decides once; `bits` is what is stored of a value of all tokens.
 */
import {
  bitsOf,
  type Codec,
  type Evicting,
  f16,
  h2o,
  heavyHitters,
  heldBits,
  identity,
  movingWindow,
  rtnGrouped,
  snapkv,
} from "../mod.ts";
import { copier } from "../models/copier.ts";
import { openGenerator } from "../models/generate.ts";
import type { Model } from "../models/load.ts";
import { losses } from "../models/quality.ts";
import { type Codecs, MEASURED, openRunner, type Runner } from "../models/runner.ts";
import { uniforms } from "../models/uniforms.ts";
import { openEmbedded } from "./embedded.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

/** Logits after each token of a text, the cache of whose first tokens is stored when the prompt ends. */
type Reader = (ids: readonly number[], prompt: number) => Promise<Float32Array>;

/** A cache under test. */
interface Way {
  readonly name: string;
  /** Tokens that are held in the end, of so many and of so many behind the prompt. */
  readonly held: (tokens: number, later: number) => number;
  /** Bits a value of a token that is held. */
  readonly bits: number;
  /** Does it know where the prompt ends? */
  readonly prompted: boolean;
  readonly open: (model: Model, runner: Runner) => Reader;
}

const both = (codec: Codec): Codecs => ({ k: codec, v: codec });
const SHAPE = [2, "tokens", 64] as const;

/** All tokens, by one codec. */
const whole = (name: string, codec: Codec): Way => ({
  name,
  held: (tokens) => tokens,
  bits: bitsOf(codec, SHAPE),
  prompted: false,
  open: (_, runner) => async (ids) => (await runner.run(ids, both(codec))).logits,
});

/** Tokens of a step: as many go where the budget is full. One at a time takes eight times as long. */
const STEP = 8;

/** As many tokens as a budget, at each step. */
const stepwise = (name: string, codecs: Evicting): Way => ({
  name,
  held: (tokens) => Math.min(tokens, codecs.budget),
  bits: heldBits(codecs, [2, 64]),
  prompted: false,
  open: (model) => async (ids) => {
    const generator = await openGenerator(model, codecs, { schedule: MEASURED, most: STEP });
    try {
      return await generator.read(ids);
    } finally {
      generator.close();
    }
  },
});

/** Newest tokens of a prompt that stay in any case: those that SnapKV asks. */
const OBSERVED = 16;

/** As many tokens as a budget, chosen when the prompt ends; later ones are all kept. */
const once = (name: string, budget: number, scheme: typeof h2o, codec: Codec): Way => ({
  name,
  held: (_, later) => budget + later,
  bits: bitsOf(codec, SHAPE) + 32 / 64,
  prompted: true,
  open: (_, runner) => async (ids, prompt) => {
    const keep = (budget - OBSERVED) / (prompt - OBSERVED);
    const chosen = scheme({ keep, recent: OBSERVED }, codec);
    const before = await runner.run(ids.slice(0, prompt), undefined, { see: true });
    const { salience } = chosen;
    const after = await runner.run(ids.slice(prompt), {
      ...chosen.after(ids.length - prompt),
      ...salience === undefined ? {} : { salience },
    }, { after: before });
    return Float32Array.from([...before.logits, ...after.logits]);
  },
});

const snapped: typeof h2o = ({ keep, recent }, codec) =>
  snapkv({ keep, observed: recent ?? OBSERVED }, codec);

const four = rtnGrouped(4);

const waysOf = (budgets: readonly number[]): readonly Way[] => [
  whole("all, f32", identity),
  whole("all, 4 bits", four),
  whole("all, 2 bits", rtnGrouped(2)),
  ...budgets.flatMap((n) => [
    once("snapkv, f16", n, snapped, f16),
    once("snapkv, 4 bits", n, snapped, four),
    once("h2o once, f16", n, h2o, f16),
    stepwise("h2o each step, f16", heavyHitters({ heavy: n / 2 }, f16)),
    stepwise("h2o each step, 4 bits", heavyHitters({ heavy: n / 2 }, four)),
    stepwise("window, f16", movingWindow({ recent: n - 4 }, f16)),
    stepwise("window, 4 bits", movingWindow({ recent: n - 4 }, four)),
  ]),
];

/** Bits of a value, and tokens, of a text of so many. */
const sizesOf = (way: Way, tokens: number, later: number): Row => ({
  tokens: `${way.held(tokens, later)} of ${tokens}`,
  bits: (way.bits * way.held(tokens, later) / tokens).toFixed(2),
});

const rowOf = (logits: Float32Array, at: number, vocab: number): Float32Array =>
  logits.subarray(at * vocab, (at + 1) * vocab);

/** Texts with a run of four tokens that stands once, and again at the end. */
const needles = (count: number, tokens: number): number[][] => {
  const next = uniforms(7);
  const below = (n: number): number => Math.floor(next() * n);
  return Array.from({ length: count }, (_, i) => {
    const text = Array.from({ length: tokens - 3 }, () => 64 + below(64));
    const key = Array.from({ length: 4 }, (_, j) => 16 * j + below(16));
    // Evenly over the first half.
    key.forEach((id, j) => text[1 + Math.floor(i * (tokens / 2 - 8) / count) + j] = id);
    return [...text, ...key.slice(0, 3)];
  });
};

/** The share of texts whose last two tokens are said. */
const needle = async (ask: Ask): Promise<readonly Row[]> => {
  const tokens = ask.quick ? 96 : 384;
  const texts = needles(ask.quick ? 2 : 16, tokens);
  const model = copier();
  const runner = await openRunner(model);
  const vocab = model.config.vocabSize;
  const right = (logits: Float32Array, text: readonly number[]): number => {
    const at = text.indexOf(text.at(-1)!);
    return [1, 0].filter((back) => {
      const row = rowOf(logits, text.length - 1 - back, vocab);
      return row.indexOf(Math.max(...row)) === text[at + 1 - back];
    }).length / 2;
  };
  const rows: Row[] = [];
  try {
    for (const way of waysOf(ask.quick ? [32] : [128, 64])) {
      const read = way.open(model, runner);
      const share = async (prompt: number): Promise<string> => {
        let sum = 0;
        for (const text of texts) sum += right(await read(text, prompt), text);
        return `${(100 * sum / texts.length).toFixed(0)} %`;
      };
      const asked = await share(tokens - 2);
      const later = way.prompted ? await share(tokens - 3) : asked;
      rows.push({ cache: way.name, ...sizesOf(way, tokens, 2), asked, later });
    }
    return rows;
  } finally {
    runner.close();
  }
};

/** The first tokens of the passage are the question, and end the prompt. */
const ASKED = 8;

/** A passage, how often it is read, and what lies between. */
const [PASSAGE, TIMES, BETWEEN, LEAD] = [48, 4, 64, 16];

/** −log p of the last tokens of a text, a mean. */
const lossOf = (
  logits: Float32Array,
  text: readonly number[],
  last: number,
  vocab: number,
): number =>
  losses(logits.subarray((text.length - last - 1) * vocab), vocab, text.slice(-last))
    .reduce((a, b) => a + b) / last;

/** What a passage gains from being read before. */
const passage = async (ask: Ask): Promise<readonly Row[]> => {
  const { model, runner, ids } = await openEmbedded();
  const vocab = model.config.vocabSize;
  const count = ask.quick ? 2 : 20;
  const at = (i: number): number => 1 + i * Math.floor((ids.length - PASSAGE - 1) / count);
  const some = (from: number, n: number): number[] =>
    Array.from({ length: n }, (_, i) => ids[1 + (from + i) % (ids.length - 1)]!);
  const texts = Array.from({ length: count }, (_, i) => {
    const [here, other] = [i, (i + Math.floor(count / 2)) % count].map((j) =>
      ids.slice(at(j), at(j) + PASSAGE)
    );
    const around = at(i) + Math.floor(ids.length / 4);
    const text = (of: readonly number[]): number[] => [
      ids[0]!,
      ...some(around, LEAD),
      ...Array.from({ length: TIMES }, () => of).flat(),
      ...some(around + LEAD, BETWEEN),
      ...here!,
    ];
    return { told: text(here!), untold: text(other!) };
  });
  const tokens = texts[0]!.told.length;
  const rows: Row[] = [];
  let exact = 0;
  try {
    for (const way of waysOf(ask.quick ? [32] : [128, 64])) {
      const read = way.open(model, runner);
      const loss = async (text: number[]): Promise<number> =>
        lossOf(await read(text, tokens - PASSAGE + ASKED), text, PASSAGE - ASKED, vocab);
      const gains: number[] = [];
      let all = 0;
      for (const { told, untold } of texts) {
        const [mine, without] = [await loss(told), await loss(untold)];
        gains.push(without - mine);
        all += mine / count;
      }
      const mean = gains.reduce((a, b) => a + b) / count;
      const spread = Math.sqrt(
        gains.reduce((s, g) => s + (g - mean) ** 2, 0) / (count - 1) / count,
      );
      if (rows.length === 0) exact = mean;
      rows.push({
        cache: way.name,
        ...sizesOf(way, tokens, PASSAGE - ASKED),
        loss: all.toFixed(3),
        gain: `${mean.toFixed(3)} ± ${spread.toFixed(3)}`,
        kept: `${(100 * mean / exact).toFixed(0)} %`,
      });
    }
    return rows;
  } finally {
    runner.close();
  }
};

/** The question of the head of the file. */
export const retrievalBench: Benchmark = async (ask) => [
  { title: "a needle, the model that copies: how often c and d are said", rows: await needle(ask) },
  { title: "a passage read four times before, wiki4m", rows: await passage(ask) },
];
