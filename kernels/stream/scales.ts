/**
 * Weights of a chunk with the scales and shifts of its values, applied once a group of channels
 * instead of once a channel.
 *
 * ```text
 * for each row and group of channels:  w[t] = p[t]·scale[t];  z = Σ p[t]·shift[t]     lanes are tokens
 * ```
 * @module
 */
import { type Arr, bin, type Expr, int, load, num, select, un } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { tellApart } from "../../compiler/lower/chunk.ts";
import { type Factor, type LinearTerms, linearTerms } from "../../compiler/lower/linear.ts";
import { type Frame, padded, type Stream, type Sum } from "./shape.ts";

/** Most lanes that share a row and group. */
export const SHARE = 16;

/** Weights of one scaled part: `at` gives where row r of group g begins. */
export interface Scaled {
  readonly arr: Arr;
  readonly at: (row: Expr, group: Expr) => Expr;
}

/** What the run loops need. */
export interface Prepared {
  readonly form: LinearTerms;
  readonly lastAxis: number;
  readonly groups: number;
  readonly scaled: readonly Scaled[];
  /** Channels that a run may span: all of them where no factor tells groups apart. */
  readonly stretch: number;
  /** Group of a channel. */
  readonly groupOf: (channel: Expr) => Expr;
  /** Σ p·shift of a row and group. */
  readonly shift: (row: Expr, group: Expr) => Expr;
}

/** The factor of four tokens of a group. */
const factorAt = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  factor: Factor,
  row: Expr,
  group: Expr,
  t: Expr,
): Expr => {
  const { low } = b;
  const index = frame.value(
    sum,
    row,
    bin("add", frame.first, t),
    bin("mul", group, int(sum.inner)),
  );
  low.loose = true;
  frame.here.t = t;
  const terms = factor.terms.map((s) => low.wide(s, index, sum.values.indexOf(stream.roles.token)));
  low.loose = false;
  return terms.reduce((a, x) => bin("mul", a, x), un("splat", num(factor.by)));
};

const isOne = ({ terms, by }: Factor): boolean => terms.length === 0 && by === 1;

/** Splits the values of a sum, and scales the weights. */
export const prepare = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  weight: Arr,
): Prepared => {
  const { low } = b;
  const { rows, chunk } = stream;
  const { channels, values, inner } = sum;
  const last = channels[channels.length - 1];
  const lastAxis = last === undefined ? -1 : values.indexOf(last);
  const form: LinearTerms = last === undefined
    ? { scaled: [{ factor: { terms: [], by: 1 }, rest: sum.term.args[1] }], shifts: [] }
    : linearTerms(sum.term.args[1], lastAxis, (t) => low.sources.has(t));
  // Groups of channels matter only where some scale or shift tells them apart.
  const apart = tellApart(sum, form);
  const groups = apart ? sum.count / inner : 1;
  const plain = (row: Expr): Expr => bin("mul", row, int(chunk));
  const spread = (row: Expr, group: Expr): Expr => bin("add", bin("mul", row, int(groups)), group);
  const scaled = form.scaled.map(({ factor }): Scaled => {
    if (isOne(factor)) return { arr: weight, at: plain };
    const arr = b.local("scaled", rows * groups * chunk);
    return { arr, at: (row, group) => bin("mul", spread(row, group), int(chunk)) };
  });
  const shifts = b.local("shift", rows * groups);
  const needed = form.shifts.length > 0 || scaled.some((s) => s.arr !== weight);
  if (needed) {
    // Lanes that share a row and group take every so many tokens, and leave a sum each.
    const share = Math.max(1, Math.min(SHARE, Math.floor(frame.lanes / (rows * groups))));
    const sums = share === 1 ? shifts : b.local("shifts", rows * groups * share);
    low.par("g", int(rows * groups * share), (item) => {
      const [g, nth] = [bin("div", item, int(share)), bin("rem", item, int(share))];
      const [row, group] = [bin("div", g, int(groups)), bin("rem", g, int(groups))];
      const total = low.mutable("z", un("splat", num(0)));
      low.loop("j", bin("mul", nth, int(4)), padded(frame, 4), 4 * share, (t) => {
        const p = low.named("p", load(weight, bin("add", plain(row), t), true));
        // Beyond the last token a factor is whatever lies in memory: a weight of 0 takes nothing of it.
        const weighed = (x: Expr): Expr =>
          select(bin("lt", un("splat", num(0)), p), bin("mul", p, x), un("splat", num(0)));
        form.scaled.forEach(({ factor }, k) => {
          if (scaled[k].arr === weight) return;
          low.store(
            scaled[k].arr,
            bin("add", scaled[k].at(row, group), t),
            weighed(factorAt(b, frame, stream, sum, factor, row, group, t)),
          );
        });
        form.shifts.forEach((factor) =>
          total.set(
            bin(
              "add",
              weighed(factorAt(b, frame, stream, sum, factor, row, group, t)),
              total.get(),
            ),
          )
        );
      });
      low.store(sums, item, un("hsum", total.get()));
    });
    if (share > 1 && form.shifts.length > 0) {
      low.par("g", int(rows * groups), (g) => {
        const total = low.mutable("z", num(0));
        low.loop("w", int(0), int(share), 1, (w) => {
          const at = bin("add", bin("mul", g, int(share)), w);
          total.set(bin("add", total.get(), load(sums, at)));
        });
        low.store(shifts, g, total.get());
      });
    }
  }
  return {
    form,
    lastAxis,
    groups,
    scaled,
    stretch: apart ? inner : sum.count,
    groupOf: (channel) => apart ? bin("div", channel, int(inner)) : int(0),
    shift: (row, group) => form.shifts.length > 0 ? load(shifts, spread(row, group)) : num(0),
  };
};
