/**
 * Weights times values of a chunk: o[row] = Σ p·v, with scales and shifts applied once a group.
 *
 * ```text
 * for each row and group of channels:  w[t] = p[t]·scale[t];  z = Σ p[t]·shift[t]     lanes are tokens
 * for each run of channels, for each token:  o[row] += w[t] · rest[t]                  lanes are channels
 * ```
 * With 16-bit products w is rounded to 2⁻¹⁶ of its largest in the chunk, and two tokens at a time meet
 * their codes as integers: `dot16(c₀ c₁ …, w₀ w₁ …)` sums both.
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
  select,
  un,
  widen8,
  zip8,
} from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { bytesAt, CODES, codesBehind } from "../../compiler/lower/fixed.ts";
import { type Factor, type LinearTerms, linearTerms } from "../../compiler/lower/linear.ts";
import { quads } from "./scores.ts";
import type { Frame, Stream } from "./shape.ts";

/** Accumulators of four channels that registers hold. */
const ACCUMULATORS = 16;

/** Weights of one scaled part: `at` gives where row r of group g begins. */
interface Scaled {
  readonly arr: Arr;
  readonly at: (row: Expr, group: Expr) => Expr;
}

/** What the run loops need. */
interface Prepared {
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
  factor: Factor,
  row: Expr,
  group: Expr,
  t: Expr,
): Expr => {
  const { low } = b;
  const index = frame.place(
    1,
    row,
    bin("add", frame.first, t),
    bin("mul", group, int(stream.inner)),
  );
  low.loose = true;
  frame.here.t = t;
  const terms = factor.terms.map((s) => low.wide(s, index, frame.tokenAxis(1)));
  low.loose = false;
  return terms.reduce((a, x) => bin("mul", a, x), un("splat", num(factor.by)));
};

const isOne = ({ terms, by }: Factor): boolean => terms.length === 0 && by === 1;

const prepare = (b: Builder, frame: Frame, stream: Stream, weight: Arr): Prepared => {
  const { low } = b;
  const { rows, chunk, roles, term, inner } = stream;
  const last = roles.channels[roles.channels.length - 1];
  const lastAxis = last === undefined ? -1 : term.labels.args[1].indexOf(last);
  const form: LinearTerms = last === undefined
    ? { scaled: [{ factor: { terms: [], by: 1 }, rest: term.args[1] }], shifts: [] }
    : linearTerms(term.args[1], lastAxis, (t) => low.sources.has(t));
  // Groups of channels matter only where some scale or shift tells them apart.
  const outerAxes = roles.channels.slice(0, -1).map((l) => term.labels.args[1].indexOf(l));
  const tells = ({ terms }: Factor): boolean =>
    terms.some((t) =>
      t.tag !== "broadcast" || t.axes.some((a) => outerAxes.includes(a) && t.shape[a] !== 1)
    );
  const apart = [...form.scaled.map((x) => x.factor), ...form.shifts].some(tells);
  const groups = apart ? stream.channels / inner : 1;
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
    low.par("g", int(rows * groups), (g) => {
      const [row, group] = [bin("div", g, int(groups)), bin("rem", g, int(groups))];
      const total = low.mutable("z", un("splat", num(0)));
      low.loop("j", int(0), bin("mul", quads(frame), int(4)), 4, (t) => {
        const p = low.named("p", load(weight, bin("add", plain(row), t), true));
        // Beyond the last token a factor is whatever lies in memory: a weight of 0 takes nothing of it.
        const weighed = (x: Expr): Expr =>
          select(bin("lt", un("splat", num(0)), p), bin("mul", p, x), un("splat", num(0)));
        form.scaled.forEach(({ factor }, k) => {
          if (scaled[k].arr === weight) return;
          low.store(
            scaled[k].arr,
            bin("add", scaled[k].at(row, group), t),
            weighed(factorAt(b, frame, stream, factor, row, group, t)),
          );
        });
        form.shifts.forEach((factor) =>
          total.set(
            bin("add", weighed(factorAt(b, frame, stream, factor, row, group, t)), total.get()),
          )
        );
      });
      low.store(shifts, g, un("hsum", total.get()));
    });
  }
  return {
    form,
    lastAxis,
    groups,
    scaled,
    stretch: apart ? inner : stream.channels,
    groupOf: (channel) => apart ? bin("div", channel, int(inner)) : int(0),
    shift: (row, group) => form.shifts.length > 0 ? load(shifts, spread(row, group)) : num(0),
  };
};

/** Largest run of the choices that divides the last channel axis and fits registers. */
const runOf = (choices: readonly number[], inner: number, rows: number): number | undefined => {
  const fits = choices.filter((n) => inner % n === 0);
  return fits.find((n) => rows * n / 4 <= ACCUMULATORS) ?? fits[fits.length - 1];
};

/** Stores the finished sums of a run. */
const storeRun = (
  b: Builder,
  frame: Frame,
  part: Arr,
  channel: Expr,
  sums: readonly (readonly Expr[])[],
  width: number,
): void =>
  sums.forEach((row, r) =>
    row.forEach((sum, q) =>
      b.low.store(part, bin("add", bin("add", frame.base(int(r)), channel), int(width * q)), sum)
    )
  );

/** f32 products: lanes are channels where four lie side by side. */
const floatRuns = (b: Builder, frame: Frame, stream: Stream, ready: Prepared, part: Arr): void => {
  const { low } = b;
  const { rows, inner, channels } = stream;
  const run = inner % 4 === 0 ? runOf([64, 32, 16, 8, 4], ready.stretch, rows)! : 1;
  const width = run === 1 ? 1 : 4;
  low.par("c", int(channels / run), (c) => {
    const channel = bin("mul", c, int(run));
    const group = ready.groupOf(channel);
    const zero = width === 4 ? un("splat", num(0)) : num(0);
    const cells = Array.from(
      { length: rows },
      () => Array.from({ length: run / width }, () => low.mutable("o", zero)),
    );
    low.loop("t", int(0), frame.tokens, 1, (t) => {
      const token = low.named("token", bin("add", frame.first, t));
      frame.here.t = t;
      ready.form.scaled.forEach(({ rest }, k) => {
        const { arr, at } = ready.scaled[k];
        const w = cells.map((_, r) => low.named("w", load(arr, bin("add", at(int(r), group), t))));
        cells[0].forEach((_, q) => {
          const index = frame.place(1, int(0), token, bin("add", channel, int(width * q)));
          const value = width === 4 ? low.wide(rest, index, ready.lastAxis) : low.at(rest, index);
          cells.forEach((row, r) => row[q].set(madd(w[r], value, row[q].get())));
        });
      });
    });
    const sums = cells.map((row, r) =>
      row.map((cell) => bin("add", cell.get(), ready.shift(int(r), group)))
    );
    storeRun(b, frame, part, channel, sums, width);
  });
};

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
      bin("mul", quads(frame), int(4)),
      4,
      (t) => top.set(bin("max", un("abs", load(arr, bin("add", start, t), true)), top.get())),
    );
    const step = low.named("step", bin("div", un("hmax", top.get()), num(32767)));
    low.store(steps, g, step);
    const inverse = low.named("inverse", bin("div", num(1), bin("max", step, num(2 ** -126))));
    // The chunk is walked in eights: what lies beyond its tokens counts nothing.
    low.loop(
      "j",
      int(0),
      bin("mul", bin("div", bin("add", frame.tokens, int(7)), int(8)), int(8)),
      8,
      (t) => {
        const rounded = (k: number): Expr =>
          un(
            "rint",
            bin("mul", load(arr, bin("add", bin("add", start, t), int(4 * k)), true), inverse),
          );
        const place = bin("add", bin("mul", g, int(chunk / 2)), bin("div", t, int(2)));
        low.store(pairs, place, packI16(rounded(0), rounded(1)));
      },
    );
  });
  return { pairs, steps };
};

/** Integer products of raw codes, two tokens at a time. */
const fixedRuns = (b: Builder, frame: Frame, stream: Stream, ready: Prepared, part: Arr): void => {
  const { low } = b;
  const { rows, channels, chunk } = stream;
  const [{ rest }] = ready.form.scaled;
  const [scaled] = ready.scaled;
  clearTail(b, frame, stream, scaled, ready.groups);
  const groups = scaled.arr === undefined ? 1 : ready.groups;
  const { pairs, steps } = roundWeights(b, frame, stream, scaled, groups);
  const run = runOf([64, 32, 16], ready.stretch, rows)!;
  low.par("c", int(channels / run), (c) => {
    const channel = bin("mul", c, int(run));
    const group = ready.groupOf(channel);
    const g = (r: number): Expr => bin("add", int(r * groups), group);
    const zero = un("splat", int(0));
    const cells = Array.from(
      { length: rows },
      () => Array.from({ length: run / 4 }, () => low.mutable("o", zero)),
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
        const bytes = tokens.map((token) =>
          bytesAt(
            low,
            rest,
            frame.place(1, int(0), token, bin("add", channel, int(CODES * block))),
            ready.lastAxis,
          )
        );
        for (let q = 0; q < 4; q++) {
          const both = widen8(zip8(bytes[0], bytes[1], q >> 1), q & 1);
          cells.forEach((row, r) => {
            const cell = row[4 * block + q];
            cell.set(bin("add", cell.get(), dot16(both, asI16(w[r]))));
          });
        }
      }
    });
    const sums = cells.map((row, r) => {
      const step = low.named("step", load(steps, g(r)));
      return row.map((cell) => madd(un("toF32", cell.get()), step, ready.shift(int(r), group)));
    });
    storeRun(b, frame, part, channel, sums, 4);
  });
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
  const padded = bin("mul", quads(frame), int(4));
  const end = bin("mul", bin("div", bin("add", frame.tokens, int(7)), int(8)), int(8));
  low.par("g", int(stream.rows * groups), (g) =>
    low.loop("j", padded, end, 4, (t) => {
      const start = at(bin("div", g, int(groups)), bin("rem", g, int(groups)));
      low.store(arr, bin("add", start, t), un("splat", num(0)));
    }));
};

/** Adds up the values of this group's chunk into its part. */
export const addValues = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  weight: Arr,
  part: Arr,
): void => {
  const ready = prepare(b, frame, stream, weight);
  const [first] = ready.form.scaled;
  const fixed = stream.term.weights === 16 && ready.form.scaled.length === 1 &&
    codesBehind(first.rest, ready.lastAxis) !== undefined;
  (fixed ? fixedRuns : floatRuns)(b, frame, stream, ready, part);
};
