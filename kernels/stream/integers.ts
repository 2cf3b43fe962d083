/**
 * Weights times raw codes as integers, two tokens at a time.
 *
 * ```text
 * for each run of channels, for two tokens:
 *   16 bits:  o[row] += dot16(c₀ c₁ …, w₀ w₁ …)              32-bit sums over the chunk; at the end step·o
 *    8 bits:  o[row] += dot8(w₀ w₁ …, c₀ c₁ …)               16-bit sums over 16 tokens; then O += step·o
 * ```
 * Rows go together as far as registers hold their sums: they meet the same codes.
 * @module
 */
import {
  asI16,
  bin,
  dot16,
  dot8,
  type Expr,
  int,
  madd,
  num,
  un,
  widen16,
  word,
  zip32,
} from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { CODES, codesOfVector, type Sixteen, sixteenAt } from "../../compiler/lower/fixed.ts";
import { WEIGHTS } from "../../dsl/read/weights.ts";
import { runOf, storeRun } from "./runs.ts";
import type { Prepared } from "./scales.ts";
import type { Frame, Stream, Sum } from "./shape.ts";
import { eachRow, tilesOf, walk } from "./tokens.ts";

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

/** 16-bit weights: the step is that of the chunk. */
const inChunk = (
  b: Builder,
  frame: Frame,
  sum: Sum,
  ready: Prepared,
  rows: readonly number[],
  channel: Expr,
  run: number,
): Expr[][] => {
  const { low } = b;
  const group = ready.groupOf(channel);
  const cells = cellsOf(b, rows, run / 4, un("splat", int(0)));
  walk(
    b,
    frame,
    STEP,
    ({ t, tokens }) =>
      addPairs(
        b,
        frame,
        sum,
        ready,
        rows,
        channel,
        run / CODES,
        t,
        tokens,
        (i, block, [x, y], w) => {
          for (const half of [0, 1]) {
            for (const odd of [0, 1]) {
              const cell = cells[i][4 * block + 2 * half + odd];
              cell.set(bin("add", cell.get(), dot16(x.beside(y, half, odd), asI16(w))));
            }
          }
        },
      ),
  );
  return rows.map((r, i) => {
    const step = low.named("step", ready.rounded!.step(int(r), group, int(0)));
    // Even channels and odd ones lie apart.
    const inOrder = cells[i].map((_, k) => {
      const [even, odd] = [k - k % 2, k - k % 2 + 1].map((n) => cells[i][n].get());
      return zip32(even, odd, k % 2);
    });
    return inOrder.map((four) => madd(un("toF32", four), step, ready.shift(int(r), group)));
  });
};

/** 8-bit weights: the step is that of 16 tokens. */
const inBlocks = (
  b: Builder,
  frame: Frame,
  sum: Sum,
  ready: Prepared,
  rows: readonly number[],
  channel: Expr,
  run: number,
): Expr[][] => {
  const { low } = b;
  const { tokens: many } = WEIGHTS[8];
  const group = ready.groupOf(channel);
  const totals = cellsOf(b, rows, run / 4, un("splat", num(0)));
  const zero = asI16(un("splat", word(0)));
  const block = (from: Expr, to: Expr, tokensAt: (t: Expr) => Expr[]): void => {
    const cells = cellsOf(b, rows, run / 8, zero);
    low.loop(
      "t",
      from,
      to,
      STEP,
      (t) =>
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
          (i, n, [x, y], w) =>
            [0, 1].forEach((half) => {
              const cell = cells[i][2 * n + half];
              cell.set(bin("add", cell.get(), dot8(w, x.zipped(y, half))));
            }),
        ),
    );
    rows.forEach((r, i) => {
      const step = low.named("step", un("splat", ready.rounded!.step(int(r), group, from)));
      totals[i].forEach((total, k) => {
        const four = un("toF32", widen16(cells[i][k >> 1].get(), k % 2));
        total.set(madd(four, step, total.get()));
      });
    });
  };
  const after = (t: Expr, k: number): Expr => bin("add", frame.first, bin("add", t, int(k)));
  const whole = bin("mul", bin("div", frame.tokens, int(many)), int(many));
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
  return rows.map((r, i) =>
    totals[i].map((total) => bin("add", total.get(), ready.shift(int(r), group)))
  );
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
  const bits = sum.term.weights!;
  const [inRun, perVector] = bits === 8 ? [inBlocks, 8] as const : [inChunk, 4] as const;
  for (const rows of tilesOf(stream.rows, SIDE_BY_SIDE[bits])) {
    const run = runOf([64, 32, 16], ready.stretch, rows.length, perVector);
    // Runs of one vector are written out, so that shifts are constants.
    const many = Math.min(ready.stretch, codesOfVector(ready.form.scaled[0].rest, ready.lastAxis));
    const span = many % run === 0 && sum.count % many === 0 ? many : run;
    b.low.par("c", int(sum.count / span), (c) => {
      for (let at = 0; at < span; at += run) {
        const channel = bin("add", bin("mul", c, int(span)), int(at));
        const sums = inRun(b, frame, sum, ready, rows, channel, run);
        storeRun(b, frame, sum, part, channel, sums, rows);
      }
    });
  }
};
