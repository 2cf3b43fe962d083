/**
 * Weights times values of a chunk: o[row] = Σ p·v, with scales and shifts applied once a group.
 *
 * ```text
 * for each row and group of channels:  w[t] = p[t]·scale[t];  z = Σ p[t]·shift[t]     stream/scales.ts
 * for each run of channels, for each token:  o[row] += w[t] · rest[t]                  lanes are channels
 * ```
 * With 16-bit products w is rounded to 2⁻¹⁶ of its largest in the chunk, and two tokens at a time meet
 * their codes as integers: `dot16(c₀ c₁ …, w₀ w₁ …)` sums both (stream/integers.ts). Where channels do
 * not come in fours, lanes are tokens (stream/tokens.ts).
 * @module
 */
import { type Arr, bin, type Expr, int, load, madd, num, un } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { runsAlongTokens } from "../../compiler/lower/chunk.ts";
import { codesBehind } from "../../compiler/lower/fixed.ts";
import { fixedRuns } from "./integers.ts";
import { runOf, storeRun } from "./runs.ts";
import { prepare, type Prepared } from "./scales.ts";
import type { Frame, Stream, Sum } from "./shape.ts";
import { eachRow, tokenRuns } from "./tokens.ts";

/** f32 products: lanes are channels. */
const floatRuns = (
  b: Builder,
  frame: Frame,
  { rows }: Stream,
  sum: Sum,
  ready: Prepared,
  part: Arr,
): void => {
  const { low } = b;
  const run = runOf([64, 32, 16, 8, 4], ready.stretch, rows);
  low.par("c", int(sum.count / run), (c) => {
    const channel = bin("mul", c, int(run));
    const group = ready.groupOf(channel);
    const cells = sum.like.map(() =>
      Array.from({ length: run / 4 }, () => low.mutable("o", un("splat", num(0))))
    );
    low.loop("t", int(0), frame.tokens, 1, (t) => {
      const token = low.named("token", bin("add", frame.first, t));
      frame.here.t = t;
      ready.form.scaled.forEach(({ rest }, k) => {
        const { arr, at } = ready.scaled[k];
        const w = cells.map((_, r) => low.named("w", load(arr, bin("add", at(int(r), group), t))));
        cells[0].forEach((_, q) => {
          const four = eachRow(sum, (row): Expr => {
            const index = frame.value(sum, row, token, bin("add", channel, int(4 * q)));
            return low.wide(rest, index, ready.lastAxis);
          });
          cells.forEach((row, r) => row[q].set(madd(w[r], four[r], row[q].get())));
        });
      });
    });
    const sums = cells.map((row, r) =>
      row.map((cell) => bin("add", cell.get(), ready.shift(int(r), group)))
    );
    storeRun(b, frame, sum, part, channel, sums);
  });
};

/** Adds up the values of this group's chunk into its part. */
export const addValues = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  weight: Arr,
  part: Arr,
): void => {
  if (runsAlongTokens(sum)) return tokenRuns(b, frame, stream, sum, weight, part);
  const ready = prepare(b, frame, stream, sum, weight);
  const { scaled: [first, ...others] } = ready.form;
  const fixed = sum.term.weights === 16 && first !== undefined && others.length === 0 &&
    codesBehind(first.rest, ready.lastAxis) !== undefined;
  (fixed ? fixedRuns : floatRuns)(b, frame, stream, sum, ready, part);
};
