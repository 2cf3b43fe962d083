/**
 * `stream`: a softmax-weighted fold over tokens, split into chunks that a merge joins. Attention over
 * any composed codec is this kernel: scores and values are expressions over packed words, decoded in
 * registers; no reconstructed K or V exists in memory.
 *
 * ```text
 * a group is one (batch, row, chunk):
 *   what does not change along tokens (a rotated query, Σ q) is staged once
 *   for each token: score[row][token]
 *   for each row:   m = max score;  p = e^(score − m);  l = Σ p
 *   for each run of channels, for each token: o[row] += p · value     (scale and minimum once a group)
 *   part[chunk] = (o, m, l)
 * merge (in the kernel that uses the result): M = max m;  Σ e^(m−M) o / Σ e^(m−M) l
 * ```
 * Not yet: lanes spread over tokens in the last loop, integer dot products, threads.
 * @module
 */
import { isPacked } from "../dsl/core/dtype.ts";
import { blocksOf } from "../dsl/core/layout.ts";
import { MASKED } from "../dsl/core/monoid.ts";
import { countOf, type Sizes } from "../dsl/core/shape.ts";
import type { Dim, Term, TermOf } from "../dsl/core/term.ts";
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
  variable,
} from "../compiler/ir/expr.ts";
import { GROUP } from "../compiler/ir/stmt.ts";
import { Builder, type Context, leavesOf, type Skeleton, unravel } from "../compiler/kernel.ts";
import { linear } from "../compiler/lower/memory.ts";
import { type StreamRoles, streamRoles } from "../compiler/lower/roles.ts";
import { linearForm } from "./linear_form.ts";
import { holdRow } from "./stage.ts";

/** Floats of one part: the weighted sum, then m and l, padded to four. */
const partSize = (channels: number): number => Math.ceil((channels + 2) / 4) * 4;

const channelsOf = (roles: StreamRoles): number =>
  roles.channels.reduce((n, l) => n * (roles.dim(l) as number), 1);
const rowsOf = (roles: StreamRoles): number =>
  roles.rows.reduce((n, l) => n * (roles.dim(l) as number), 1);
const outerOf = (roles: StreamRoles): Dim[] => roles.outer.map(roles.dim);

const scratchName = (term: Term): string => `parts${term.id}`;

const partWords = (term: TermOf<"fold">, context: Context) => (sizes: Sizes): number => {
  const roles = streamRoles(term);
  const chunks = Math.max(
    1,
    Math.ceil(countOf([roles.dim(roles.token)], sizes) / context.schedule.chunk),
  );
  return countOf(outerOf(roles), sizes) * chunks * rowsOf(roles) * partSize(channelsOf(roles));
};

const chunksOf = (b: Builder, roles: StreamRoles, chunk: number): Expr =>
  bin("div", bin("add", b.size(roles.dim(roles.token)), int(chunk - 1)), int(chunk));

/** Can four neighbours of the last channel axis be taken at once? */
const lanesFit = (roles: StreamRoles): boolean =>
  roles.channels.length > 0 &&
  (roles.dim(roles.channels[roles.channels.length - 1]) as number) % 4 === 0;

/** Channels of one inner loop: whole blocks of the packed values, as far as registers allow. */
const runOf = (values: Term, roles: StreamRoles, channels: number, context: Context): number => {
  if (!lanesFit(roles)) return 1;
  const widest = leavesOf([values], context.materialized).reduce((n, t) => {
    const last = t.shape[t.shape.length - 1];
    return isPacked(t.dtype) && typeof last === "number"
      ? Math.max(n, blocksOf(t.dtype, last).codes)
      : n;
  }, 16);
  return [Math.min(widest, 64), 32, 16, 4].find((n) => channels % n === 0) ?? 1;
};

/** The skeleton. */
export const streamSkeleton: Skeleton = (plan, context) => {
  const term = plan.roots[0] as Term & TermOf<"fold">;
  const roles = streamRoles(term);
  const [scores, values] = term.args;
  const { chunk } = context.schedule;
  const b = new Builder(context);
  const { low } = b;
  const staged = [...plan.axes.keys()];
  staged.forEach((t) => low.sources.set(t, { at: () => num(0), wide: () => undefined }));
  b.read([scores, values, ...staged.flatMap((t) => "args" in t ? t.args : [])]);
  const channels = channelsOf(roles);
  const rows = rowsOf(roles);
  const part = b.scratch(scratchName(term), partWords(term, context), true);

  const group = variable(GROUP, "i32", { lo: 0 });
  const chunks = chunksOf(b, roles, chunk);
  const outer = unravel(bin("div", group, chunks), low.dims(outerOf(roles)));
  const first = bin("mul", bin("rem", group, chunks), int(chunk));
  const tokens = bin("min", int(chunk), bin("sub", b.size(roles.dim(roles.token)), first));
  const rowDims = roles.rows.map((l) => int(roles.dim(l) as number));

  stage(b, staged, plan.axes, outer);
  const place = (arg: number, row: Expr, token: Expr, channel: readonly Expr[]): Expr[] => {
    const inRow = unravel(row, rowDims);
    return term.labels.args[arg].map((l) =>
      l === roles.token
        ? token
        : roles.outer.includes(l)
        ? outer[roles.outer.indexOf(l)]
        : roles.rows.includes(l)
        ? inRow[roles.rows.indexOf(l)]
        : channel[roles.channels.indexOf(l)]
    );
  };

  const weight = b.local("score", rows * chunk);
  const peak = b.local("peak", rows);
  low.par("t", int(chunk), (t) => {
    const token = low.named(
      "token",
      bin("min", bin("add", first, t), bin("sub", b.size(roles.dim(roles.token)), int(1))),
    );
    for (let r = 0; r < rows; r++) {
      const score = low.at(scores, place(0, int(r), token, []));
      low.store(
        weight,
        bin("add", t, int(r * chunk)),
        select(bin("lt", t, tokens), score, num(MASKED)),
      );
    }
  });
  const base = (row: Expr): Expr =>
    bin("mul", bin("add", bin("mul", group, int(rows)), row), int(partSize(channels)));
  low.par("r", int(rows), (r) => {
    const top = low.mutable("top", un("splat", num(MASKED)));
    low.loop(
      "j",
      int(0),
      int(chunk),
      4,
      (j) =>
        top.set(
          bin("max", top.get(), load(weight, bin("add", bin("mul", r, int(chunk)), j), true)),
        ),
    );
    low.store(peak, r, un("hmax", top.get()));
  });
  low.par("j", int(rows * chunk / 4), (j) => {
    const at = bin("mul", j, int(4));
    const score = load(weight, at, true);
    const weighted = un("exp", bin("sub", score, load(peak, bin("div", at, int(chunk)))));
    low.store(
      weight,
      at,
      select(bin("le", score, un("splat", num(MASKED))), un("splat", num(0)), weighted),
    );
  });
  low.par("r", int(rows), (r) => {
    const sum = low.mutable("sum", un("splat", num(0)));
    low.loop(
      "j",
      int(0),
      int(chunk),
      4,
      (j) =>
        sum.set(
          bin("add", sum.get(), load(weight, bin("add", bin("mul", r, int(chunk)), j), true)),
        ),
    );
    low.store(part, bin("add", base(r), int(channels)), load(peak, r));
    low.store(part, bin("add", base(r), int(channels + 1)), un("hsum", sum.get()));
  });

  const run = runOf(values, roles, channels, context);
  const channelDims = roles.channels.map((l) => int(roles.dim(l) as number));
  low.par("c", int(channels / run), (c) => {
    const lanes = run % 4 === 0;
    const cells = Array.from(
      { length: rows },
      () =>
        Array.from(
          { length: lanes ? run / 4 : 1 },
          () => low.mutable("o", lanes ? un("splat", num(0)) : num(0)),
        ),
    );
    const valueAt = (token: Expr, q: number): Expr => {
      const channel = unravel(bin("add", bin("mul", c, int(run)), int(4 * q)), channelDims);
      const index = place(1, int(0), token, channel);
      const last = term.labels.args[1].indexOf(roles.channels[roles.channels.length - 1]);
      return lanes ? low.wide(values, index, last) : low.at(values, index);
    };
    const shifts = shiftCells(low, valueAt, cells[0].length, rows);
    low.loop("t", int(0), tokens, 1, (t) => {
      const token = low.named("token", bin("add", first, t));
      for (let r = 0; r < rows; r++) {
        const p = low.named("p", load(weight, bin("add", t, int(r * chunk))));
        const done = new Set<string>();
        cells[r].forEach((cell, q) => {
          const form = linearForm(valueAt(token, q));
          for (const { scale, rest } of form.scaled) {
            cell.set(madd(bin("mul", p, scale), rest, cell.get()));
          }
          form.shifts.forEach((shift, k) => {
            const key = nth(form.shifts, k);
            if (done.has(key)) return;
            done.add(key);
            const at = shifts[r].get(q)![k];
            at.set(madd(p, shift, at.get()));
          });
        });
      }
    });
    for (let r = 0; r < rows; r++) {
      cells[r].forEach((cell, q) => {
        const total = shifts[r].get(q)!.reduce<Expr>((t, s) => bin("add", t, s.get()), cell.get());
        low.store(
          part,
          bin("add", bin("add", base(int(r)), bin("mul", c, int(run))), int(4 * q)),
          total,
        );
      });
    }
  });
  return [
    b.finish(
      context.name,
      "stream",
      (s) => countOf(outerOf(roles), s) * Math.ceil(countOf([roles.dim(roles.token)], s) / chunk),
    ),
  ];
};

type Plan = Parameters<Skeleton>[0];
type Cell = ReturnType<Builder["low"]["mutable"]>;

/** A shift and which of its equals it is: equal shifts of one value count twice. */
const nth = (shifts: readonly Expr[], k: number): string =>
  `${shifts[k].id}#${shifts.slice(0, k).filter((s) => s === shifts[k]).length}`;

/** One accumulator for every shift that a run of channels shares, found by looking at a token symbolically. */
const shiftCells = (
  low: Builder["low"],
  valueAt: (token: Expr, q: number) => Expr,
  quads: number,
  rows: number,
): Map<number, Cell[]>[] => {
  const token = variable("someToken", "i32", { lo: 0 });
  return Array.from({ length: rows }, () => {
    const byShift = new Map<string, Cell>();
    const out = new Map<number, Cell[]>();
    for (let q = 0; q < quads; q++) {
      let form: readonly Expr[] = [];
      low.inBlock(() => form = linearForm(valueAt(token, q)).shifts);
      out.set(
        q,
        form.map((_, k) => {
          const key = nth(form, k);
          if (!byShift.has(key)) byShift.set(key, low.mutable("m", num(0)));
          return byShift.get(key)!;
        }),
      );
    }
    return out;
  });
};

/** Computes what stays the same along tokens into group memory. */
const stage = (
  b: Builder,
  staged: readonly Term[],
  axes: Plan["axes"],
  outer: readonly Expr[],
): void => {
  const { low } = b;
  for (const term of staged) {
    const held = axes.get(term)!;
    const size = held.held.reduce((n, a) => n * (term.shape[a] as number), 1);
    const arr: Arr = b.local("held", size);
    const last = term.shape.length - 1;
    const four = held.held[held.held.length - 1] === last && (term.shape[last] as number) % 4 === 0;
    const unit = four ? 4 : 1;
    const dims = held.held.map((a) => int(term.shape[a] as number));
    low.sources.delete(term);
    low.par("h", int(size / unit), (h) => {
      const at = bin("mul", h, int(unit));
      const inside = unravel(at, dims);
      const index = term.shape.map((_, a) =>
        held.held.includes(a) ? inside[held.held.indexOf(a)] : outer[held.rowOf[a]!]
      );
      low.store(arr, at, four ? low.wide(term, index, last) : low.at(term, index));
    });
    low.sources.set(term, holdRow({ arr, axes: held, size }, term, int(0)));
  }
};

/** A finished streaming fold: one value, or four channels where they end its index. */
export interface Merged {
  readonly wide: boolean;
  readonly value: (index: readonly Expr[], four: boolean) => Expr;
}

/**
 * The merge of a streaming fold's parts, as values for the kernel that uses the result: one value
 * (or four channels) of the finished fold at an index.
 */
export const mergeInto = (
  b: Builder,
  context: Context,
  term: Term,
): Merged => {
  const fold = term as Term & TermOf<"fold">;
  const roles = streamRoles(fold);
  const { low } = b;
  const channels = channelsOf(roles);
  const rows = rowsOf(roles);
  const part = b.scratch(scratchName(term), partWords(fold, context), false);
  const wide = lanesFit(roles) &&
    fold.labels.out[fold.labels.out.length - 1] === roles.channels[roles.channels.length - 1];
  const value = (index: readonly Expr[], four: boolean): Expr => {
    const pick = (ls: readonly string[]): Expr[] =>
      ls.map((l) => index[fold.labels.out.indexOf(l)]);
    const dims = (ls: readonly string[]): Expr[] => low.dims(ls.map(roles.dim));
    const outer = linear(dims(roles.outer), pick(roles.outer));
    const row = linear(dims(roles.rows), pick(roles.rows));
    const channel = linear(dims(roles.channels), pick(roles.channels));
    const chunks = chunksOf(b, roles, context.schedule.chunk);
    const baseAt = (c: Expr): Expr =>
      bin(
        "mul",
        bin("add", bin("mul", bin("add", bin("mul", outer, chunks), c), int(rows)), row),
        int(partSize(channels)),
      );
    const top = low.mutable("top", num(MASKED));
    low.loop(
      "c",
      int(0),
      chunks,
      1,
      (c) => top.set(bin("max", top.get(), load(part, bin("add", baseAt(c), int(channels))))),
    );
    const m = low.named("m", top.get());
    const sum = low.mutable("l", num(0));
    const acc = low.mutable("o", four ? un("splat", num(0)) : num(0));
    low.loop("c", int(0), chunks, 1, (c) => {
      const at = baseAt(c);
      const f = low.named("f", un("exp", bin("sub", load(part, bin("add", at, int(channels))), m)));
      sum.set(madd(f, load(part, bin("add", at, int(channels + 1))), sum.get()));
      acc.set(madd(f, load(part, bin("add", at, channel), four), acc.get()));
    });
    const total = low.named("l", sum.get());
    const nothing = bin("le", total, num(0));
    const safe = select(nothing, num(1), total);
    return select(nothing, four ? un("splat", num(0)) : num(0), bin("div", acc.get(), safe));
  };
  return { wide, value };
};
