/**
 * Weights of a chunk with the scales and shifts of its values, applied once a group of channels
 * instead of once a channel.
 *
 * ```text
 * for each row and group of channels:  w[t] = p[t]·scale[t];  z = Σ p[t]·shift[t]     lanes are tokens
 * ```
 * Where a group has one lane, a few rows go together and share the factors of a token. Where codes are
 * multiplied as integers, w becomes integers on the way (stream/rounded.ts).
 * @module
 */
import { type Arr, bin, type Expr, int, load, num, select, un } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { tellApart } from "../../compiler/lower/chunk.ts";
import { isFixed } from "../../compiler/lower/fixed.ts";
import { type Factor, type LinearTerms, linearTerms } from "../../compiler/lower/linear.ts";
import { type WeightBits, WEIGHTS } from "../../dsl/read/weights.ts";
import { clearTail, roundedWeights } from "./rounded.ts";
import { type Frame, padded, type Stream, type Sum } from "./shape.ts";
import { tilesOf } from "./tokens.ts";

/** Weights of one scaled part: `at` gives where row r of group g begins. */
export interface Scaled {
  readonly arr: Arr;
  readonly at: (row: Expr, group: Expr) => Expr;
}

/** What the run loops need. */
export interface Prepared {
  readonly form: LinearTerms;
  readonly lastAxis: number;
  readonly scaled: readonly Scaled[];
  /** The same as integers, where codes are multiplied as such: two tokens in a word, and their step. */
  readonly rounded:
    | Readonly<
      Record<"pair" | "step", (row: Expr, group: Expr, t: Expr) => Expr>
    >
    | undefined;
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
  { terms, by }: Factor,
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
  frame.here.t = bin("add", frame.from, t);
  const factors = terms.map((s) => low.wide(s, index, sum.values.indexOf(stream.roles.token)));
  low.loose = false;
  const all = by === 1 ? factors : [un("splat", num(by)), ...factors];
  return all.reduce((a, x) => bin("mul", a, x));
};

const isOne = ({ terms, by }: Factor): boolean => terms.length === 0 && by === 1;

/** Most lanes that share a row and group. */
export const SHARE = 16;

/** Rows whose weights are made together. */
const SIDE_BY_SIDE = 4;

/** Groups that are written out and go together: scales of two lie side by side, and are read at once. */
const WRITTEN_OUT = 2;

/** Splits the values of a sum, and scales the weights. */
export const prepare = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  weight: Arr,
  wanted?: WeightBits,
): Prepared => {
  const { low } = b;
  const { rows } = stream;
  const { channels, values, inner } = sum;
  const last = channels[channels.length - 1];
  const lastAxis = last === undefined ? -1 : values.indexOf(last);
  const form: LinearTerms = last === undefined
    ? { scaled: [{ factor: { terms: [], by: 1 }, rest: sum.term.args[1] }], shifts: [] }
    : linearTerms(sum.term.args[1], lastAxis, (t) => low.sources.has(t));
  // Values that are read as another kernel stored them are no codes.
  const bits = form.scaled.length === 1 && isFixed(form.scaled[0].rest, lastAxis)
    ? wanted
    : undefined;
  // Groups of channels matter only where some scale or shift tells them apart.
  const apart = tellApart(sum, form);
  const groups = apart ? sum.count / inner : 1;
  const chunk = bits === 16 ? Math.min(stream.chunk, WEIGHTS[bits].tokens) : stream.chunk;
  const plain = (row: Expr): Expr => bin("add", bin("mul", row, int(stream.chunk)), frame.from);
  const spread = (row: Expr, group: Expr): Expr => bin("add", bin("mul", row, int(groups)), group);
  const scaled = form.scaled.map(({ factor }): Scaled => {
    // Eight bits are made in registers.
    if (isOne(factor) || bits === 8) return { arr: weight, at: plain };
    const arr = b.local("scaled", rows * groups * chunk);
    return { arr, at: (row, group) => bin("mul", spread(row, group), int(chunk)) };
  });
  const shifts = b.local("shift", rows * groups);
  const rounded = bits && roundedWeights(b, frame, chunk, rows * groups, bits);
  const needed = form.shifts.length > 0 || rounded !== undefined ||
    scaled.some((s) => s.arr !== weight);
  /** Four tokens of a row and group from `t` on, with factors as they are at `from`. */
  const weighed = (
    row: Expr,
    group: Expr,
    t: Expr,
    from: Expr,
    whole: boolean,
  ): { w: Expr[]; shift?: Expr } => {
    const p = low.named("p", load(weight, bin("add", plain(row), t), true));
    // Beyond the last token a factor is whatever lies in memory: a weight of 0 takes nothing of it.
    const taken = bin("lt", un("splat", num(0)), p);
    const by = (factor: Factor): Expr => {
      if (isOne(factor)) return p;
      const x = bin("mul", p, factorAt(b, frame, stream, sum, factor, row, group, from));
      return whole ? x : select(taken, x, un("splat", num(0)));
    };
    const shift = form.shifts.map(by);
    return {
      w: form.scaled.map(({ factor }) => low.named("w", by(factor))),
      ...(shift.length === 0 ? {} : { shift: shift.reduce((a, x) => bin("add", a, x)) }),
    };
  };
  const inSet = (set: readonly { readonly row: Expr; readonly group: Expr }[]): void => {
    const totals = set.map(() => low.mutable("z", un("splat", num(0))));
    const make = (i: number, t: Expr, from: Expr, whole: boolean): Expr => {
      const { row, group } = set[i];
      const { w, shift } = weighed(row, group, t, from, whole);
      scaled.forEach(({ arr, at }, k) => {
        if (arr !== weight) low.store(arr, bin("add", at(row, group), t), w[k]);
      });
      if (shift !== undefined) totals[i].set(bin("add", shift, totals[i].get()));
      return w[0];
    };
    if (rounded === undefined) {
      low.loop(
        "j",
        int(0),
        padded(frame, 4),
        4,
        (t) => set.forEach((_, i) => make(i, t, t, false)),
      );
    } else {
      const [{ arr, at }] = scaled;
      rounded.round(set.map(({ row, group }, i) => ({
        place: spread(row, group),
        make: (t, from, whole) => make(i, t, from, whole),
        again: (t) => load(arr, bin("add", at(row, group), t), true),
      })));
    }
    set.forEach(({ row, group }, i) =>
      low.store(shifts, spread(row, group), un("hsum", totals[i].get()))
    );
  };
  if (rounded !== undefined) {
    const [{ arr, at }] = scaled;
    const place = (g: Expr): Expr => at(bin("div", g, int(groups)), bin("rem", g, int(groups)));
    if (arr === weight) clearTail(b, frame, bits!, rows, plain, arr);
    else clearTail(b, frame, bits!, rows * groups, place, arr);
  }
  if (needed && frame.lanes === 1) {
    for (const tile of tilesOf(rows, SIDE_BY_SIDE)) {
      const of = (group: Expr) => tile.map((row) => ({ row: int(row), group }));
      if (groups > WRITTEN_OUT) low.par("g", int(groups), (group) => inSet(of(group)));
      else inSet(Array.from({ length: groups }, (_, g) => of(int(g))).flat());
    }
  } else if (needed) {
    // Lanes that share a row and group take every so many tokens, and leave a sum each.
    const share = Math.max(1, Math.min(SHARE, Math.floor(frame.lanes / (rows * groups))));
    const sums = share === 1 ? shifts : b.local("shifts", rows * groups * share);
    low.par("g", int(rows * groups * share), (item) => {
      const [g, nth] = [bin("div", item, int(share)), bin("rem", item, int(share))];
      const [row, group] = [bin("div", g, int(groups)), bin("rem", g, int(groups))];
      const total = low.mutable("z", un("splat", num(0)));
      low.loop("j", bin("mul", nth, int(4)), padded(frame, 4), 4 * share, (t) => {
        const { w, shift } = weighed(row, group, t, t, false);
        scaled.forEach(({ arr, at }, k) => {
          if (arr !== weight) low.store(arr, bin("add", at(row, group), t), w[k]);
        });
        if (shift !== undefined) total.set(bin("add", shift, total.get()));
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
    scaled,
    rounded: rounded && {
      pair: (row, group, t) => rounded.pair(spread(row, group), t),
      step: (row, group, t) => rounded.step(spread(row, group), t),
    },
    stretch: apart ? inner : sum.count,
    groupOf: (channel) => apart ? bin("div", channel, int(inner)) : int(0),
    shift: (row, group) => form.shifts.length > 0 ? load(shifts, spread(row, group)) : num(0),
  };
};
