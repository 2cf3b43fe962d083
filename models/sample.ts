/**
 * Text that a model writes itself: what fine-tuning reads where there is no other (LLM-QAT, arXiv 2305.17888).
 * Each window begins with a token at random and goes on with tokens drawn from the model's own distribution,
 * on an exact cache.
 * @module
 */
import { type Device, wasm } from "../mod.ts";
import { openGenerator } from "./generate.ts";
import type { Model } from "./load.ts";
import { EXACT } from "./runner.ts";
import { uniforms } from "./uniforms.ts";

/** How much text, and which. */
export interface Sampling {
  /** Windows. */
  readonly windows: number;
  /** Tokens of each. */
  readonly tokens: number;
  /** Another seed gives another text. */
  readonly seed: number;
}

/** The place that `share` of all e^logit lies before. */
export const drawn = (logits: ArrayLike<number>, share: number): number => {
  let top = -Infinity;
  for (let i = 0; i < logits.length; i++) top = Math.max(top, logits[i]!);
  const weights = Float64Array.from(logits, (x) => Math.exp(x - top));
  let left = share * weights.reduce((a, b) => a + b, 0);
  const at = weights.findIndex((w) => (left -= w) < 0);
  // Rounding may leave a little behind the last one.
  return at < 0 ? weights.length - 1 : at;
};

/** Windows of the model's own text. */
export const sampled = async (
  model: Model,
  { windows, tokens, seed }: Sampling,
  device: Device = wasm(),
): Promise<number[][]> => {
  const next = uniforms(seed);
  const texts: number[][] = [];
  while (texts.length < windows) {
    const generator = await openGenerator(model, EXACT, { device, capacity: tokens });
    const ids = [Math.floor(next() * model.config.vocabSize)];
    try {
      while (ids.length < tokens) ids.push(drawn(await generator.feed(ids.slice(-1)), next()));
    } finally {
      generator.close();
    }
    texts.push(ids);
  }
  return texts;
};
