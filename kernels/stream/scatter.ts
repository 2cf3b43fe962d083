/**
 * Weights times values that are 1 at one place of a token and 0 elsewhere, as outliers decode to.
 *
 * ```text
 * for each row:  o = fade · o + Σ p·shift;  for each token:  o[row][place[t]] += w[t]
 * ```
 * @module
 */
import { type Arr, bin, int, load, num, un } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import type { LinearTerms } from "../../compiler/lower/linear.ts";
import { markOf, placed } from "../../compiler/lower/marks.ts";
import { settled } from "./runs.ts";
import type { Prepared } from "./scales.ts";
import type { Frame, Stream, Sum } from "./shape.ts";

/** Are all values along the channels marks? */
export const areMarks = (sum: Sum, { scaled }: LinearTerms, axis: number): boolean =>
  sum.channels.length === 1 && scaled.length > 0 &&
  scaled.every(({ rest }) => markOf(rest)?.axis === axis);

/** Adds each token's weight at its place. */
export const markedRuns = (
  b: Builder,
  frame: Frame,
  { rows }: Stream,
  sum: Sum,
  ready: Prepared,
  part: Arr,
): void => {
  const { low } = b;
  for (let row = 0; row < rows; row++) {
    const base = low.named("base", bin("add", frame.base(int(row)), int(sum.at)));
    const shift = un("splat", ready.shift(int(row), int(0)));
    for (let c = 0; c < sum.count; c += 4) {
      const at = bin("add", base, int(c));
      low.store(part, at, settled(frame, part, at, int(row), shift));
    }
  }
  low.loop("t", int(0), frame.tokens, 1, (t) => {
    const token = low.named("token", bin("add", frame.first, t));
    frame.here.t = t;
    ready.form.scaled.forEach(({ rest }, k) => {
      const mark = markOf(rest)!;
      for (let row = 0; row < rows; row++) {
        const index = frame.value(sum, int(row), token, int(0));
        const place = placed((term, at) => low.at(term, at), mark, index);
        const { arr, at } = ready.scaled[k];
        const w = load(arr, bin("add", at(int(row), int(0)), t));
        const to = low.named(
          "to",
          bin("add", bin("add", frame.base(int(row)), place.at), int(sum.at)),
        );
        const total = low.named("o", bin("add", load(part, to), place.is(w, num(0))));
        low.store(part, to, total);
      }
    });
  });
};
