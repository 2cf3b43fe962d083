/**
 * A model made by hand that does nothing but look back: the circuit of two heads that language models copy with
 * ("induction heads", arXiv 2209.11895), in the shapes of `llama.ts`. It was not trained, and its attention is
 * that of no trained model; what it says hangs on one token far back, so it shows whether a cache still has it.
 *
 * ```text
 * channels    64 of the token (a code of signs) | 64 of the token before | one that is 1
 * layer 0     looks at the token before by place alone:  q·k = a·Σ_p cos((i − j − 1)·θ_p);  copies its code
 * layer 1     looks where the token before is the one here: q of its code, k of the code before, on pairs of
 *             channels that RoPE hardly turns;  adds the code of the token there: what came next, last time
 * ```
 *
 * A key is told once, `… a b …`; at the second `a` it says `b`.
 * @module
 */
import type { ModelConfig } from "./config.ts";
import type { Model } from "./load.ts";
import { uniforms } from "./uniforms.ts";
import type { Weight } from "./weights.ts";

/** Channels of a code, and of a head. */
const WIDTH = 64;
/** Where the constant channel is, and how many channels there are. */
const [ONE, HIDDEN] = [2 * WIDTH, 2 * WIDTH + 4];
/** Pairs of channels from here on turn by less than a third of a circle in the longest text. */
const STILL = 12;
/** Signs of two codes that agree differ from those that do not by at most so much, of all. */
const ALIKE = 0.5;

const CONFIG: ModelConfig = {
  hiddenSize: HIDDEN,
  intermediateSize: 4,
  layers: 2,
  heads: 1,
  kvHeads: 1,
  headDim: WIDTH,
  vocabSize: 128,
  contextLength: 2048,
  normEps: 1e-5,
  // So large that half of the pairs stand still.
  ropeTheta: 1e12,
  ropeInterleaved: true,
};

/** Codes of length 1 that are little alike, on all channels and on those that stand still. */
const codesOf = (count: number, seed: number): Float64Array[] => {
  const next = uniforms(seed);
  const codes: Float64Array[] = [];
  const dot = (a: Float64Array, b: Float64Array, from: number): number => {
    let sum = 0;
    for (let i = from; i < WIDTH; i++) sum += a[i]! * b[i]!;
    return sum * WIDTH / (WIDTH - from);
  };
  while (codes.length < count) {
    const code = Float64Array.from({ length: WIDTH }, () => (next() < 0.5 ? -1 : 1) / 8);
    const far = (other: Float64Array): boolean =>
      [0, 2 * STILL].every((from) => dot(code, other, from) <= ALIKE);
    if (codes.every(far)) codes.push(code);
  }
  return codes;
};

/** The model; another seed gives its tokens other codes. */
export const copier = (seed = 1): Model => {
  const { vocabSize, layers, intermediateSize, ropeTheta } = CONFIG;
  const weights = new Map<string, Weight>();
  const put = (
    name: string,
    shape: readonly number[],
    at: (row: number, column: number) => number,
  ): void => {
    const [rows, columns] = shape.length === 1 ? [1, shape[0]!] : shape as [number, number];
    const data = Float32Array.from(
      { length: rows * columns },
      (_, i) => at(Math.floor(i / columns), i % columns),
    );
    weights.set(`${name}.weight`, { shape, dtype: "F32", data });
  };
  const codes = codesOf(vocabSize, seed);
  put(
    "model.embed_tokens",
    [vocabSize, HIDDEN],
    (t, c) => c < WIDTH ? codes[t]![c]! : c === ONE ? 1 : 0,
  );
  /** What a norm makes longer: x / √(mean x²), where x² adds up to `square`. */
  const grown = (square: number): number => Math.sqrt(HIDDEN / square);
  // Squares of code, constant, and from layer 1 on of the code before.
  const scales = [grown(2), grown(3)];
  const angle = (p: number): number => ropeTheta ** (-2 * p / WIDTH);
  for (let i = 0; i < layers; i++) {
    const name = `model.layers.${i}`;
    const [q, k, v, o] = ["q", "k", "v", "o"].map((s) => `${name}.self_attn.${s}_proj`);
    const square = [WIDTH, HIDDEN];
    const by = 1 / scales[i]!;
    for (const norm of ["input_layernorm", "post_attention_layernorm"]) {
      put(`${name}.${norm}`, [HIDDEN], () => 1);
    }
    if (i === 0) {
      // Scores fall off by a few tens from the token before to any other.
      const turned = (c: number): number =>
        c % 2 === 0 ? Math.cos(angle(c >> 1)) : Math.sin(angle(c >> 1));
      const quick = (c: number): boolean => c < 2 * STILL;
      put(q!, square, (c, from) => from === ONE && quick(c) && c % 2 === 0 ? 20 * by : 0);
      put(k!, square, (c, from) => from === ONE && quick(c) ? 20 * by * turned(c) : 0);
    } else {
      const still = (c: number): boolean => c >= 2 * STILL;
      put(q!, square, (c, from) => still(c) && from === c ? 20 * by : 0);
      put(k!, square, (c, from) => still(c) && from === WIDTH + c ? 20 * by : 0);
    }
    put(v!, square, (c, from) => from === c ? by : 0);
    put(
      o!,
      [HIDDEN, WIDTH],
      (c, from) => i === 0 ? Number(c === WIDTH + from) : 4 * Number(c === from),
    );
    put(`${name}.mlp.gate_proj`, [intermediateSize, HIDDEN], () => 0);
    put(`${name}.mlp.up_proj`, [intermediateSize, HIDDEN], () => 0);
    put(`${name}.mlp.down_proj`, [HIDDEN, intermediateSize], () => 0);
  }
  put("model.norm", [HIDDEN], () => 4);
  return { config: CONFIG, weights };
};
