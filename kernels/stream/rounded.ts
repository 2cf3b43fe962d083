/**
 * Weights as integers, two tokens in a word: `w₀ w₁` of 16 bits, or `w₀ w₁ w₀ w₁` of 8.
 *
 * ```text
 * 16 bits, a chunk at a time:     step = max |w| / 32767, then for eight tokens: rint(w / step)
 *  8 bits, 16 tokens at a time:   w stays in registers; step = max |w| / 127;  rint(w / step)
 * ```
 * @module
 */
import {
  type Arr,
  bin,
  type Expr,
  int,
  load,
  num,
  packI16,
  packI8,
  un,
  zip16,
} from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { type WeightBits, WEIGHTS } from "../../dsl/read/weights.ts";
import { type Frame, padded } from "./shape.ts";
import { LANES } from "./tokens.ts";

/** A row of weights. */
export interface WeightRow {
  /** Its number among all. */
  readonly place: Expr;
  /** Makes the weights of four tokens from t on, all of the part if `whole`, with factors as they are at `from`. */
  readonly make: (t: Expr, from: Expr, whole: boolean) => Expr;
  /** Reads them again. */
  readonly again: (t: Expr) => Expr;
}

/** Where rounded weights lie. */
export interface Rounded {
  /** Rounds the weights of some rows. */
  readonly round: (rows: readonly WeightRow[]) => void;
  /** The word of two tokens from t on. */
  readonly pair: (place: Expr, t: Expr) => Expr;
  /** What one unit is worth at token t. */
  readonly step: (place: Expr, t: Expr) => Expr;
}

const ZERO = (): Expr => un("splat", num(0));

/** Stores the step below the largest weight, and rounds to it. */
const rounder = (
  b: Builder,
  arr: Arr,
  at: Expr,
  top: Expr,
  bits: WeightBits,
): (w: Expr) => Expr => {
  const { largest } = WEIGHTS[bits];
  const most = b.low.named("most", un("hmax", top));
  b.low.store(arr, at, bin("mul", most, num(1 / largest)));
  const floor = num(largest * 2 ** -126);
  const inverse = b.low.named("inverse", bin("div", num(largest), bin("max", most, floor)));
  return (w) => un("rint", bin("mul", w, inverse));
};

const inChunks = (b: Builder, frame: Frame, words: Arr, steps: Arr, perRow: number): Rounded => {
  const { low } = b;
  const pair = (place: Expr, t: Expr): Expr =>
    bin("add", bin("mul", place, int(perRow)), bin("div", t, int(2)));
  return {
    round: (rows) => {
      const tops = rows.map(() => low.mutable("top", ZERO()));
      const step = (t: Expr, whole: boolean): void =>
        rows.forEach(({ make }, i) =>
          tops[i].set(bin("max", un("abs", make(t, t, whole)), tops[i].get()))
        );
      const whole = bin("mul", bin("div", frame.tokens, int(4)), int(4));
      low.loop("j", int(0), whole, 4, (t) => step(t, true));
      low.loop("j", whole, frame.tokens, 4, (t) => step(t, false));
      rows.forEach(({ place, again }, i) => {
        const rounded = rounder(b, steps, place, tops[i].get(), 16);
        // The chunk is walked in eights: what lies beyond its tokens counts nothing.
        low.loop("j", int(0), padded(frame, 8), 8, (t) => {
          const [x, y] = [0, 4].map((k) => rounded(again(bin("add", t, int(k)))));
          low.store(words, pair(place, t), packI16(x, y));
        });
      });
    },
    pair: (place, t) => load(words, pair(place, t)),
    step: (place) => load(steps, place),
  };
};

const inBlocks = (b: Builder, frame: Frame, words: Arr, steps: Arr, perRow: number): Rounded => {
  const { low } = b;
  const { tokens } = WEIGHTS[8];
  const pair = (place: Expr, t: Expr): Expr =>
    bin("add", bin("mul", place, int(perRow)), bin("div", t, int(2)));
  const step = (place: Expr, t: Expr): Expr =>
    bin("add", bin("mul", place, int(2 * perRow / tokens)), bin("div", t, int(tokens)));
  const block = (
    rows: readonly WeightRow[],
    t: Expr,
    from: (t: Expr) => Expr,
    whole: boolean,
  ): void =>
    rows.forEach(({ place, make }) => {
      const fours = LANES.map((k) => {
        const at = bin("add", t, int(4 * k));
        return make(at, from(at), whole);
      });
      const top = fours.map((w) => un("abs", w)).reduce((a, x) => bin("max", x, a));
      const bytes = low.named(
        "bytes",
        packI8(fours.map(rounder(b, steps, step(place, t), top, 8))),
      );
      [0, 1].forEach((half) =>
        low.store(words, bin("add", pair(place, t), int(4 * half)), zip16(bytes, bytes, half))
      );
    });
  return {
    round: (rows) => {
      const end = padded(frame, 4);
      const whole = bin("mul", bin("div", frame.tokens, int(tokens)), int(tokens));
      low.loop("j", int(0), whole, tokens, (t) => block(rows, t, (at) => at, true));
      // In the last block no factor is read far beyond the last token.
      low.loop(
        "j",
        whole,
        end,
        tokens,
        (t) => block(rows, t, (at) => bin("min", at, bin("sub", end, int(4))), false),
      );
    },
    pair: (place, t) => load(words, pair(place, t)),
    step: (place, t) => load(steps, step(place, t)),
  };
};

/** Memory for the rounded weights of so many rows. */
export const roundedWeights = (
  b: Builder,
  frame: Frame,
  chunk: number,
  rows: number,
  bits: WeightBits,
): Rounded => {
  const words = b.local("pairs", rows * chunk / 2, "u32");
  const steps = b.local("step", bits === 8 ? rows * chunk / WEIGHTS[8].tokens : rows);
  return (bits === 8 ? inBlocks : inChunks)(b, frame, words, steps, chunk / 2);
};

/** Zeros from the tokens of a part up to the next multiple of what is walked at a time. */
export const clearTail = (
  b: Builder,
  frame: Frame,
  bits: WeightBits,
  rows: number,
  at: (row: Expr) => Expr,
  arr: Arr,
): void =>
  b.low.par(
    "g",
    int(rows),
    (g) =>
      b.low.loop("j", padded(frame, 4), padded(frame, bits === 8 ? WEIGHTS[8].tokens : 8), 4, (t) =>
        b.low.store(arr, bin("add", at(g), t), ZERO())),
  );
