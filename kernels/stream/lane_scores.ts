/**
 * Scores and weights of a chunk where lanes run side by side: a lane takes every so many tokens, and
 * keeps their largest score and the sum of their weights in registers.
 *
 * ```text
 * a token a lane:  product = Σ q·codes;  score = what is left of the term;  top = max
 * a row a lane:    m = max of the part's and all tops;  fade = e^(m before − m), exactly 1 if it stays
 * a token a lane:  p = e^(score − m), 0 where masked;  sum += p
 * a row a lane:    l = l·fade + Σ sums
 * ```
 * @module
 */
import { MASKED } from "../../dsl/core/monoid.ts";
import { type Term, type TermOf, topological } from "../../dsl/core/term.ts";
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
import { type Builder, type Plan, unravel } from "../../compiler/kernel.ts";
import { contractParts } from "../../compiler/lower/reductions.ts";
import { linear } from "../../compiler/lower/memory.ts";
import { heldCount } from "../../compiler/lower/row.ts";
import { type Frame, padded, type Stream } from "./shape.ts";

/** The long products of one token, in registers; those that values ask for again are left in group memory. */
const products = (
  b: Builder,
  plan: Plan,
  frame: Frame,
  { chunk }: Stream,
  kept: ReadonlyMap<Term, Arr>,
  t: Expr,
  token: Expr,
): void => {
  const { low } = b;
  for (const [term, axes] of plan.moving) {
    const dims = axes.held.map((a) => int(term.shape[a] as number));
    const arr = kept.get(term);
    low.sources.delete(term);
    const values = Array.from({ length: heldCount(term, axes) }, (_, h) => {
      const inside = unravel(int(h), dims);
      const index = term.shape.map((_, a) =>
        a === axes.token
          ? token
          : axes.held.includes(a)
          ? inside[axes.held.indexOf(a)]
          : frame.outer[axes.rowOf[a]!]
      );
      const sum = contractParts(low, term as Term & TermOf<"contract">, index);
      const value = low.named("raw", sum.type === "f32x4" ? un("hsum", sum) : sum);
      if (arr !== undefined) low.store(arr, bin("add", t, int(h * chunk)), value);
      return value;
    });
    low.sources.set(term, {
      at: (index) => {
        const h = linear(dims, axes.held.map((a) => index[a]));
        if (h.op === "const") return values[h.value];
        return values.reduce((a, value, i) => select(bin("eq", h, int(i)), value, a));
      },
      wide: () => undefined,
    });
  }
};

/** Products that were left in group memory, for values that read them. */
const showKept = (
  b: Builder,
  plan: Plan,
  frame: Frame,
  { chunk }: Stream,
  kept: ReadonlyMap<Term, Arr>,
): void =>
  kept.forEach((arr, term) => {
    const axes = plan.moving.get(term)!;
    const dims = axes.held.map((a) => int(term.shape[a] as number));
    const at = (index: readonly Expr[], t: Expr): Expr =>
      bin("add", bin("mul", linear(dims, axes.held.map((a) => index[a])), int(chunk)), t);
    b.low.sources.set(term, {
      at: (index) => load(arr, at(index, bin("sub", index[axes.token], frame.first))),
      wide: (index, axis) =>
        axis === axes.token ? load(arr, at(index, frame.here.t), true) : undefined,
    });
  });

/** Four vectors of every row's numbers become one: a quarter of them is left. */
const quarter = (
  b: Builder,
  arr: Arr,
  rows: number,
  lanes: number,
  join: "max" | "add",
): number => {
  if (lanes % 16 !== 0) return lanes;
  const step = lanes / 4;
  b.low.par("i", int(rows * step / 4), (i) => {
    const row = bin("mul", bin("div", i, int(step / 4)), int(lanes));
    const at = bin("add", row, bin("mul", bin("rem", i, int(step / 4)), int(4)));
    const four = [0, 1, 2, 3].map((k) => load(arr, bin("add", at, int(k * step)), true));
    b.low.store(arr, at, four.reduce((x, y) => bin(join, x, y)));
  });
  return step;
};

/** What is left of a row's numbers, joined. */
const joined = (
  b: Builder,
  arr: Arr,
  row: Expr,
  lanes: number,
  left: number,
  join: "max" | "add",
): Expr => {
  const start = bin("mul", row, int(lanes));
  const at = (k: number): Expr => load(arr, bin("add", start, int(k)), left % 4 === 0);
  const step = left % 4 === 0 ? 4 : 1;
  const all = Array.from({ length: left / step }, (_, k) => at(k * step))
    .reduce((x, y) => bin(join, x, y));
  return b.low.named("all", step === 1 ? all : un(join === "max" ? "hmax" : "hsum", all));
};

/** Weights of a chunk; the part's m and l, and by what the rest of it fades. */
export const laneWeights = (
  b: Builder,
  plan: Plan,
  frame: Frame,
  stream: Stream,
  part: Arr,
  fades: Arr,
): Arr => {
  const { low } = b;
  const { chunk, rows, peak, scores } = stream;
  const { lanes } = frame;
  const weight = b.local("score", rows * chunk);
  const found = b.local("found", rows * lanes);
  const asked = new Set(topological(stream.sums.map((s) => s.term.args[1])));
  const kept = new Map(
    [...plan.moving].filter(([term]) => asked.has(term))
      .map(([term, axes]) => [term, b.local("raw", heldCount(term, axes) * chunk)]),
  );
  const each = Array.from({ length: rows }, (_, r) => r);
  const place = (r: number, t: Expr): Expr => bin("add", t, int(r * chunk));
  const end = padded(frame, 4);
  low.par("lane", int(lanes), (lane) => {
    const tops = each.map(() => low.mutable("top", num(MASKED)));
    low.loop("t", lane, end, lanes, (t) => {
      const token = low.named("token", bin("min", bin("add", frame.first, t), frame.last));
      frame.here.t = t;
      products(b, plan, frame, stream, kept, t, token);
      each.forEach((r) => {
        const score = low.at(scores, frame.score(int(r), token));
        const real = select(bin("lt", t, frame.tokens), score, num(MASKED));
        const named = low.named("score", real);
        low.store(weight, place(r, t), named);
        tops[r].set(bin("max", named, tops[r].get()));
      });
    });
    each.forEach((r) => low.store(found, bin("add", lane, int(r * lanes)), tops[r].get()));
  });
  showKept(b, plan, frame, stream, kept);
  const most = quarter(b, found, rows, lanes, "max");
  low.par("r", int(rows), (r) => {
    const at = bin("add", frame.base(r), int(peak));
    const before = low.named("before", load(part, at));
    const m = low.named("m", bin("max", before, joined(b, found, r, lanes, most, "max")));
    low.store(fades, r, select(bin("eq", before, m), num(1), un("exp", bin("sub", before, m))));
    low.store(part, at, m);
  });
  low.par("lane", int(lanes), (lane) => {
    const peaks = each.map((r) =>
      low.named("m", load(part, bin("add", frame.base(int(r)), int(peak))))
    );
    const sums = each.map(() => low.mutable("sum", num(0)));
    low.loop("t", lane, end, lanes, (t) =>
      each.forEach((r) => {
        const score = low.named("score", load(weight, place(r, t)));
        const weighed = un("exp", bin("sub", score, peaks[r]));
        const p = low.named("p", select(bin("le", score, num(MASKED)), num(0), weighed));
        low.store(weight, place(r, t), p);
        sums[r].set(bin("add", sums[r].get(), p));
      }));
    each.forEach((r) => low.store(found, bin("add", lane, int(r * lanes)), sums[r].get()));
  });
  const share = quarter(b, found, rows, lanes, "add");
  low.par("r", int(rows), (r) => {
    const at = bin("add", frame.base(r), int(peak + 1));
    const sum = joined(b, found, r, lanes, share, "add");
    low.store(part, at, madd(load(part, at), load(fades, r), sum));
  });
  return weight;
};
