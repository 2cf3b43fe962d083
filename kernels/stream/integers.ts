/**
 * Weights times raw codes as integers, two tokens at a time.
 *
 * ```text
 * for a block of tokens, for each run of channels, for two tokens:
 *   16 bits:  o[row] += dot16(c₀ c₁ …, w₀ w₁ …)              32-bit sums; O += o, and in the end step·O
 *    8 bits:  o[row] += dot8(w₀ w₁ …, c₀ c₁ …)               16-bit sums over 16 tokens; O += step·o
 * ```
 * Rows go together as far as registers hold their sums: they meet the same codes. Totals O lie in group
 * memory, unless one run is all: so values pass once, a few whole rows at a time, as they lie in memory.
 * @module
 */
import {
  asI16,
  bin,
  dot16,
  dot8,
  type Expr,
  int,
  load,
  madd,
  num,
  un,
  widen16,
  word,
  zip32,
} from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { bytesOf } from "../../compiler/lower/chunk.ts";
import { CODES, codesOfVector, type Sixteen, sixteenAt } from "../../compiler/lower/fixed.ts";
import { type WeightBits, WEIGHTS } from "../../dsl/read/weights.ts";
import { runOf, storeRun } from "./runs.ts";
import type { Prepared } from "./scales.ts";
import type { Frame, Stream, Sum } from "./shape.ts";
import { eachRow, tilesOf } from "./tokens.ts";

type Cell = { get: () => Expr; set: (e: Expr) => void };

/** Tokens of one step, which the steps of 16 tokens are made of. */
const STEP = 4;
const PLACES = Array.from({ length: STEP }, (_, k) => k);

/** Rows of one walk over the tokens: with the narrowest run their sums fill registers. */
const SIDE_BY_SIDE = { 16: 2, 8: 4 } as const;

const cellsOf = (b: Builder, rows: readonly number[], count: number, zero: Expr): Cell[][] =>
  rows.map(() => Array.from({ length: count }, () => b.low.mutable("o", zero)));

/** Adds tokens two at a time: `add` takes a row's cells, a block of channels, its codes and its weights. */
const addPairs = (
  b: Builder,
  frame: Frame,
  sum: Sum,
  ready: Prepared,
  rows: readonly number[],
  channel: Expr,
  blocks: number,
  t: Expr,
  tokens: readonly Expr[],
  add: (row: number, block: number, codes: readonly Sixteen[], w: Expr) => void,
): void => {
  const { low } = b;
  const [{ rest }] = ready.form.scaled;
  const group = ready.groupOf(channel);
  for (let k = 0; k < tokens.length; k += 2) {
    const at = bin("add", t, int(k));
    const w = rows.map((r) => low.named("w", un("splat", ready.rounded!.pair(int(r), group, at))));
    for (let block = 0; block < blocks; block++) {
      const codes = eachRow(
        sum,
        (row) =>
          tokens.slice(k, k + 2).map((token) => {
            const index = frame.value(sum, row, token, bin("add", channel, int(CODES * block)));
            return sixteenAt(low, rest, index, ready.lastAxis);
          }),
        rows,
      );
      rows.forEach((_, i) => add(i, block, codes[i], w[i]));
    }
  }
};

/** Totals of a row's channels, four at a time: in registers or in group memory. */
interface Totals {
  readonly get: (row: number, four: number, channel: Expr) => Expr;
  readonly set: (row: number, four: number, channel: Expr, e: Expr) => void;
}

const inRegisters = (b: Builder, rows: number, count: number, zero: Expr): Totals => {
  const cells = cellsOf(b, Array.from({ length: rows }, (_, r) => r), count / 4, zero);
  return { get: (row, k) => cells[row][k].get(), set: (row, k, _, e) => cells[row][k].set(e) };
};

const inMemory = (b: Builder, rows: number, count: number, zero: Expr): Totals => {
  const { low } = b;
  const arr = b.local("sums", rows * count, zero.type === "f32x4" ? "f32" : "u32");
  low.par("s", int(rows * count / 4), (s) => low.store(arr, bin("mul", s, int(4)), zero));
  const at = (row: number, k: number, channel: Expr): Expr =>
    bin("add", channel, int(row * count + 4 * k));
  return {
    get: (row, k, channel) => load(arr, at(row, k, channel), true),
    set: (row, k, channel, e) => low.store(arr, at(row, k, channel), e),
  };
};

/** What differs between weights of 16 and of 8 bits. */
interface Kind {
  /** Sums of one vector. */
  readonly perVector: 4 | 8;
  /** A sum and a total of nothing. */
  readonly zero: () => Expr;
  readonly none: () => Expr;
  /** Adds codes of two tokens times their weights to the sums of 16 channels. */
  readonly add: (sums: readonly Cell[], codes: readonly Sixteen[], w: Expr) => void;
  /** The k-th total of a run: what it was and its sums. */
  readonly onto: (before: Expr, sums: readonly Cell[], k: number, step: Expr) => Expr;
  /** Four channels of a run in order, from its totals. */
  readonly four: (totals: readonly Expr[], k: number, step: Expr, shift: Expr) => Expr;
}

const KINDS: Readonly<Record<WeightBits, Kind>> = {
  16: {
    perVector: 4,
    zero: () => un("splat", int(0)),
    none: () => un("splat", int(0)),
    add: (sums, [x, y], w) => {
      for (const [half, odd] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
        const sum = sums[2 * half + odd];
        sum.set(bin("add", sum.get(), dot16(x.beside(y, half, odd), asI16(w))));
      }
    },
    onto: (before, sums, k) => bin("add", sums[k].get(), before),
    // Even channels and odd ones lie apart.
    four: (totals, k, step, shift) => {
      const even = k - k % 2;
      return madd(un("toF32", zip32(totals[even], totals[even + 1], k % 2)), step, shift);
    },
  },
  8: {
    perVector: 8,
    zero: () => asI16(un("splat", word(0))),
    none: () => un("splat", num(0)),
    add: (sums, [x, y], w) =>
      sums.forEach((sum, half) => sum.set(bin("add", sum.get(), dot8(w, x.zipped(y, half))))),
    onto: (before, sums, k, step) =>
      madd(un("toF32", widen16(sums[k >> 1].get(), k % 2)), step, before),
    four: (totals, k, _, shift) => bin("add", totals[k], shift),
  },
};

/**
 * Bytes of a block: the processor sees one walk in them. Totals are read and written once a block, so that it
 * may be longer where more is done with each byte.
 */
const BLOCK_BYTES = 2048;

/** Tokens of a block: those that share a step of 8 bits, or rows of so many bytes. */
const tokensOf = (b: Builder, { term, count }: Sum, chunk: number, tiles: number): number => {
  if (term.weights === 8) return WEIGHTS[8].tokens;
  const bytes = count * bytesOf(term.args[1], b.low.sources);
  const many = STEP * Math.floor(tiles * BLOCK_BYTES / (STEP * bytes));
  return Math.min(chunk, Math.max(WEIGHTS[8].tokens, many));
};

/** Integer products of raw codes, two tokens at a time. */
export const fixedRuns = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  ready: Prepared,
  part: Expr["arr"] & object,
): void => {
  const { low } = b;
  const { count } = sum;
  const bits = sum.term.weights!;
  const { perVector, zero, none, add, onto, four } = KINDS[bits];
  const rounded = ready.rounded!;
  const tiles = tilesOf(stream.rows, SIDE_BY_SIDE[bits]).map((rows) => ({
    rows,
    run: runOf([64, 32, 16], ready.stretch, rows.length, perVector),
  }));
  const once = tiles.length === 1 && tiles[0].run === count;
  const totals = (once ? inRegisters : inMemory)(b, stream.rows, count, none());
  /** Runs of channels, those of one vector written out, so that shifts are constants. */
  const eachRun = (run: number, body: (channel: Expr) => void): void => {
    const vector = Math.min(
      ready.stretch,
      codesOfVector(ready.form.scaled[0].rest, ready.lastAxis),
    );
    const span = vector % run === 0 && count % vector === 0 ? vector : run;
    const written = (from: Expr): void => {
      for (let at = 0; at < span; at += run) body(bin("add", from, int(at)));
    };
    if (span === count) written(int(0));
    else low.par("c", int(count / span), (c) => written(bin("mul", c, int(span))));
  };
  const block = (from: Expr, to: Expr, tokensAt: (t: Expr) => Expr[]): void =>
    tiles.forEach(({ rows, run }) =>
      eachRun(run, (channel) => {
        const sums = cellsOf(b, rows, run / perVector, zero());
        const each = CODES / perVector;
        low.loop("t", from, to, STEP, (t) =>
          addPairs(
            b,
            frame,
            sum,
            ready,
            rows,
            channel,
            run / CODES,
            t,
            tokensAt(t),
            (i, n, codes, w) => add(sums[i].slice(each * n, each * (n + 1)), codes, w),
          ));
        rows.forEach((row, i) => {
          const step = low.named(
            "step",
            un("splat", rounded.step(int(row), ready.groupOf(channel), from)),
          );
          for (let k = 0; k < run / 4; k++) {
            const before = totals.get(row, k, channel);
            totals.set(row, k, channel, onto(before, sums[i], k, step));
          }
        });
      })
    );
  const many = tokensOf(b, sum, stream.chunk, tiles.length);
  const whole = bin("mul", bin("div", frame.tokens, int(many)), int(many));
  const after = (t: Expr, k: number): Expr => bin("add", frame.first, bin("add", t, int(k)));
  low.loop(
    "j",
    int(0),
    whole,
    many,
    (j) => block(j, bin("add", j, int(many)), (t) => PLACES.map((k) => after(t, k))),
  );
  low.loop(
    "j",
    whole,
    frame.tokens,
    many,
    (j) => block(j, frame.tokens, (t) => PLACES.map((k) => bin("min", after(t, k), frame.last))),
  );
  for (const { rows, run } of tiles) {
    eachRun(run, (channel) => {
      const group = ready.groupOf(channel);
      const sums = rows.map((row) => {
        const step = low.named("step", rounded.step(int(row), group, int(0)));
        const shift = ready.shift(int(row), group);
        const all = Array.from(
          { length: run / 4 },
          (_, k) => low.named("total", totals.get(row, k, channel)),
        );
        return all.map((_, k) => four(all, k, step, shift));
      });
      storeRun(b, frame, sum, part, channel, sums, rows);
    });
  }
};
