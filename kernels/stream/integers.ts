/**
 * Weights times raw codes as 16-bit integers, two tokens at a time.
 *
 * ```text
 * for each row and group:  w becomes integers: rint(w / step), step = max w / 32767
 * for each run of channels, for two tokens:  o[row] += dot16(c₀ c₁ …, w₀ w₁ …)
 * ```
 * @module
 */
import {
  type Arr,
  asI16,
  bin,
  dot16,
  type Expr,
  int,
  load,
  madd,
  num,
  packI16,
  un,
} from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { CODES, sixteenAt } from "../../compiler/lower/fixed.ts";
import { runOf, storeRun } from "./runs.ts";
import type { Prepared, Scaled } from "./scales.ts";
import { type Frame, padded, type Stream, type Sum } from "./shape.ts";
import { eachRow } from "./tokens.ts";

/** Weights as 16-bit integers, in pairs of tokens; `step` is what one unit is worth. */
const roundWeights = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  { arr, at }: Scaled,
  groups: number,
): { pairs: Arr; steps: Arr } => {
  const { low } = b;
  const { rows, chunk } = stream;
  const pairs = b.local("pairs", rows * groups * chunk / 2, "u32");
  const steps = b.local("step", rows * groups);
  low.par("g", int(rows * groups), (g) => {
    const start = at(bin("div", g, int(groups)), bin("rem", g, int(groups)));
    const top = low.mutable("top", un("splat", num(0)));
    low.loop(
      "j",
      int(0),
      padded(frame, 4),
      4,
      (t) => top.set(bin("max", un("abs", load(arr, bin("add", start, t), true)), top.get())),
    );
    const step = low.named("step", bin("div", un("hmax", top.get()), num(32767)));
    low.store(steps, g, step);
    const inverse = low.named("inverse", bin("div", num(1), bin("max", step, num(2 ** -126))));
    // The chunk is walked in eights: what lies beyond its tokens counts nothing.
    low.loop("j", int(0), padded(frame, 8), 8, (t) => {
      const rounded = (k: number): Expr =>
        un(
          "rint",
          bin("mul", load(arr, bin("add", bin("add", start, t), int(4 * k)), true), inverse),
        );
      const place = bin("add", bin("mul", g, int(chunk / 2)), bin("div", t, int(2)));
      low.store(pairs, place, packI16(rounded(0), rounded(1)));
    });
  });
  return { pairs, steps };
};

/** Zero weights up to the next multiple of eight tokens. */
const clearTail = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  { arr, at }: Scaled,
  groups: number,
): void => {
  const { low } = b;
  low.par(
    "g",
    int(stream.rows * groups),
    (g) =>
      low.loop("j", padded(frame, 4), padded(frame, 8), 4, (t) => {
        const start = at(bin("div", g, int(groups)), bin("rem", g, int(groups)));
        low.store(arr, bin("add", start, t), un("splat", num(0)));
      }),
  );
};

/** Integer products of raw codes, two tokens at a time. */
export const fixedRuns = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  ready: Prepared,
  part: Arr,
): void => {
  const { low } = b;
  const { rows, chunk } = stream;
  const { groups } = ready;
  const [{ rest }] = ready.form.scaled;
  const [scaled] = ready.scaled;
  clearTail(b, frame, stream, scaled, groups);
  const { pairs, steps } = roundWeights(b, frame, stream, scaled, groups);
  const run = runOf([64, 32, 16], ready.stretch, rows);
  low.par("c", int(sum.count / run), (c) => {
    const channel = bin("mul", c, int(run));
    const group = ready.groupOf(channel);
    const g = (r: number): Expr => bin("add", int(r * groups), group);
    const cells = sum.like.map(() =>
      Array.from({ length: run / 4 }, () => low.mutable("o", un("splat", int(0))))
    );
    low.loop("t", int(0), frame.tokens, 2, (t) => {
      const tokens = [0, 1].map((k) =>
        low.named("token", bin("min", bin("add", frame.first, bin("add", t, int(k))), frame.last))
      );
      const w = cells.map((_, r) => {
        const at = bin("add", bin("mul", g(r), int(chunk / 2)), bin("div", t, int(2)));
        return low.named("w", un("splat", load(pairs, at)));
      });
      for (let block = 0; block < run / CODES; block++) {
        const codes = eachRow(sum, (row) =>
          tokens.map((token) => {
            const index = frame.value(sum, row, token, bin("add", channel, int(CODES * block)));
            return sixteenAt(low, rest, index, ready.lastAxis);
          }));
        for (let q = 0; q < 4; q++) {
          const both = eachRow(sum, (row) => {
            const [first, second] = codes[row.value];
            return first.beside(second, q);
          });
          cells.forEach((row, r) => {
            const cell = row[4 * block + q];
            cell.set(bin("add", cell.get(), dot16(both[r], asI16(w[r]))));
          });
        }
      }
    });
    const sums = cells.map((row, r) => {
      const step = low.named("step", load(steps, g(r)));
      return row.map((cell) => madd(un("toF32", cell.get()), step, ready.shift(int(r), group)));
    });
    storeRun(b, frame, sum, part, channel, sums);
  });
};
