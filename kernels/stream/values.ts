/**
 * Weights times values of a chunk: o[row] = Σ p·v, with scales and shifts applied once a group.
 *
 * ```text
 * for each row and group of channels:  w[t] = p[t]·scale[t];  z = Σ p[t]·shift[t]     stream/scales.ts
 * for each token, all channels:  o[row] += w[t] · rest[t]                              lanes are channels
 * ```
 * Sums that are too many for registers lie in the part (stream/whole_rows.ts). Where codes are multiplied as integers, w is rounded and two tokens at a time meet their codes
 * (stream/integers.ts); where values are 1 at one place of a token, w is added there (stream/scatter.ts).
 * Where channels do not come in fours, lanes are tokens:
 *
 * ```text
 * for each run of channels, and each of a few walks over the tokens:
 *   for four tokens:  o[row] += w[t] · rest[t]               a value once for all rows that share it
 * for each row and channel:  o = the lanes of all walks + z
 * ```
 * @module
 */
import {
  type Arr,
  bin,
  type Expr,
  int,
  load,
  madd,
  num,
  select,
  un,
} from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { walksOf } from "../../compiler/lower/chunk.ts";
import { type WeightBits, WEIGHTS } from "../../dsl/read/weights.ts";
import { runsAlongTokens } from "../../compiler/lower/roles.ts";
import { fixedRuns } from "./integers.ts";
import { ACCUMULATORS, longestRun, settled, storeRun } from "./runs.ts";
import { prepare, type Prepared } from "./scales.ts";
import { areMarks, markedRuns } from "./scatter.ts";
import { type Frame, quads, type Stream, type Sum } from "./shape.ts";
import { eachRow, eachShare, fourTokens } from "./tokens.ts";
import { wholeRows } from "./whole_rows.ts";

/** f32 products: lanes are channels, all of them in registers. */
const floatRuns = (
  b: Builder,
  frame: Frame,
  { rows }: Stream,
  sum: Sum,
  ready: Prepared,
  part: Arr,
): void => {
  const { low } = b;
  const [channel, group] = [int(0), int(0)];
  const cells = sum.like.map(() =>
    Array.from({ length: sum.count / 4 }, () => low.mutable("o", un("splat", num(0))))
  );
  low.loop("t", int(0), frame.tokens, 1, (t) => {
    const token = low.named("token", bin("add", frame.first, t));
    frame.here.t = t;
    ready.form.scaled.forEach(({ rest }, k) => {
      const { arr, at } = ready.scaled[k];
      const w = cells.map((_, r) => low.named("w", load(arr, bin("add", at(int(r), group), t))));
      cells[0].forEach((_, q) => {
        const four = eachRow(
          sum,
          (row): Expr => low.wide(rest, frame.value(sum, row, token, int(4 * q)), ready.lastAxis),
        );
        cells.forEach((row, r) => row[q].set(madd(w[r], four[r], row[q].get())));
      });
    });
  });
  const sums = cells.map((row, r) =>
    row.map((cell) => bin("add", cell.get(), ready.shift(int(r), group)))
  );
  storeRun(b, frame, sum, part, channel, sums, Array.from({ length: rows }, (_, r) => r));
};

/** Do sums of all rows and channels stay in registers, or next to them? */
const fitsRegisters = ({ rows }: Stream, { count }: Sum, { stretch }: Prepared): boolean =>
  stretch === count && rows * count / 4 <= 2 * ACCUMULATORS;

/** f32 products: lanes are tokens. */
export const tokenRuns = (
  b: Builder,
  frame: Frame,
  { rows, roles }: Stream,
  sum: Sum,
  ready: Prepared,
  part: Arr,
): void => {
  const { low } = b;
  const { count } = sum;
  const axis = sum.values.indexOf(roles.token);
  const walks = walksOf(count);
  const sums = b.local("sums", 4 * rows * count * walks);
  const zero = un("splat", num(0));
  const place = (row: Expr, channel: Expr, walk: Expr): Expr => {
    const cell = bin("add", bin("mul", row, int(count)), channel);
    return bin("mul", bin("add", bin("mul", cell, int(walks)), walk), int(4));
  };
  const run = longestRun(ready.stretch, rows);
  low.par("c", int(count / run * walks), (c) => {
    const [nth, walk] = [bin("div", c, int(walks)), bin("rem", c, int(walks))];
    const channels = Array.from(
      { length: run },
      (_, q) => bin("add", bin("mul", nth, int(run)), int(q)),
    );
    const group = ready.groupOf(channels[0]);
    const cells = sum.like.map(() => channels.map(() => low.mutable("o", zero)));
    low.loop("j", walk, quads(frame), walks, (j) => {
      const t = bin("mul", j, int(4));
      ready.form.scaled.forEach(({ rest }, k) => {
        const { arr, at } = ready.scaled[k];
        const w = cells.map((_, r) =>
          low.named("w", load(arr, bin("add", at(int(r), group), t), true))
        );
        channels.forEach((channel, q) => {
          const four = eachRow(
            sum,
            (row) =>
              fourTokens(b, frame, rest, axis, t, (token) => frame.value(sum, row, token, channel)),
          );
          cells.forEach((row, r) => {
            // Beyond the last token a value is whatever lies in memory: a weight of 0 takes nothing of it.
            const taken = select(bin("eq", w[r], zero), zero, four[r]);
            row[q].set(madd(w[r], taken, row[q].get()));
          });
        });
      });
    });
    cells.forEach((row, r) =>
      row.forEach((cell, q) => low.store(sums, place(int(r), channels[q], walk), cell.get()))
    );
  });
  low.par("g", int(rows * count), (g) => {
    const [row, channel] = [bin("div", g, int(count)), bin("rem", g, int(count))];
    const total = low.mutable("o", zero);
    low.loop(
      "w",
      int(0),
      int(walks),
      1,
      (w) => total.set(bin("add", total.get(), load(sums, place(row, channel, w), true))),
    );
    const at = bin("add", bin("add", frame.base(row), channel), int(sum.at));
    const one = bin("add", un("hsum", total.get()), ready.shift(row, ready.groupOf(channel)));
    low.store(part, at, settled(frame, part, at, row, one));
  });
};

/** Values that do not change along the channels, or zeros: no walk over the tokens. */
export const steadyRuns = (
  b: Builder,
  frame: Frame,
  { rows }: Stream,
  sum: Sum,
  ready: Prepared,
  part: Arr,
): void => {
  const { low } = b;
  const unit = sum.inner % 4 === 0 ? 4 : 1;
  const steps = sum.count / unit;
  low.par("c", int(rows * steps), (i) => {
    const [row, nth] = [bin("div", i, int(steps)), bin("rem", i, int(steps))];
    const channel = bin("mul", nth, int(unit));
    const at = bin("add", bin("add", frame.base(row), channel), int(sum.at));
    const shift = ready.shift(row, ready.groupOf(channel));
    low.store(
      part,
      at,
      settled(frame, part, at, row, unit === 4 ? un("splat", shift) : shift),
    );
  });
};

/** The tokens of a chunk that share a step of 16 bits, so many at a time; other weights are made of all at once. */
const sharing = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  bits: WeightBits | undefined,
  body: (frame: Frame) => void,
): void => {
  const many = WEIGHTS[16].tokens;
  if (bits !== 16 || stream.chunk <= many) return body(frame);
  eachShare(b, frame, many, (own) =>
    body({
      ...own,
      // The first of them has taken what was there before the chunk.
      fade: (row) => select(bin("eq", own.from, int(0)), frame.fade(row), num(1)),
    }));
};

/** Adds up the values of this group's chunk into its part. */
export const addValues = (
  b: Builder,
  chunk: Frame,
  stream: Stream,
  sum: Sum,
  weight: Arr,
  part: Arr,
): void => {
  const along = runsAlongTokens(sum);
  const bits = along ? undefined : sum.term.weights;
  sharing(b, chunk, stream, bits, (frame) => {
    const ready = prepare(b, frame, stream, sum, weight, bits);
    const runs = ready.form.scaled.length === 0
      ? steadyRuns
      : along
      ? tokenRuns
      : ready.rounded
      ? fixedRuns
      : areMarks(sum, ready.form, ready.lastAxis)
      ? markedRuns
      : fitsRegisters(stream, sum, ready)
      ? floatRuns
      : wholeRows;
    runs(b, frame, stream, sum, ready, part);
  });
};
