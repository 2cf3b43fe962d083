/**
 * Ways to grow a term that sums or folds: see `props/term_kinds.ts`.
 * @module
 */
import * as B from "../dsl/core/build.ts";
import { MASKED } from "../dsl/core/monoid.ts";
import { concat, slice } from "../dsl/core/pieces.ts";
import { countOf } from "../dsl/core/shape.ts";
import type { Dim, Term } from "../dsl/core/term.ts";
import {
  before,
  clamped,
  dimOf,
  type Grown,
  grown,
  MOST,
  partner,
  type Soil,
} from "./term_soil.ts";

/** A contraction with shared, free and summed labels. */
export const contract = (soil: Soil): Grown | undefined => {
  const { dice } = soil;
  const a = before(soil);
  const kept = a.term.shape.filter(() => dice.chance(0.7));
  const shape = dice.shuffle(dice.chance(0.6) ? [...kept, soil.dim()] : kept);
  if (countOf(shape, soil.sizes) > MOST) return undefined;
  const b = dice.chance(0.2) ? a : dice.chance(0.3) ? before(soil) : soil.fresh(shape);
  const left = a.term.shape.map((_, i) => `l${i}`);
  const free = left.map((label, i) => ({ label, dim: a.term.shape[i] }));
  const right = b.term.shape.map((dim, i) => {
    const at = free.findIndex((f) => f.dim === dim);
    return at >= 0 && dice.chance(0.8) ? free.splice(at, 1)[0].label : `r${i}`;
  });
  const all = [...new Set([...left, ...right])];
  const dim = (l: string): Dim =>
    left.includes(l) ? a.term.shape[left.indexOf(l)] : b.term.shape[right.indexOf(l)];
  const work = countOf(all.map(dim), soil.sizes);
  if (work > 20 * MOST) return undefined;
  const out = dice.shuffle(all.filter(() => dice.chance(0.5)));
  return grown(
    B.contractBy({ args: [left, right], out }, a.term, b.term),
    a.bound * b.bound * work,
    a,
    b,
  );
};

/** What divides a tensor and multiplies what it becomes: a number held where its inverse is one too. */
const heldIn = (g: Grown): Term =>
  B.map("min", B.map("max", B.map("abs", g.term), 2 ** -4), 2 ** 4);

/** Rows times a small matrix, with scales: of the result's columns, of rows, of everything. */
export const weighed = (soil: Soil): Grown | undefined => {
  const { dice } = soil;
  const a = dice.chance(0.3)
    ? before(soil)
    : soil.fresh([dice.pick(Object.keys(soil.sizes)), 1 + dice.below(8)], "f32");
  const { shape } = a.term;
  const width = shape[shape.length - 1];
  if (shape.length < 2 || typeof width !== "number" || width > 64) return undefined;
  const [n, top] = [1 + dice.below(6), soil.fresh([], "f32")];
  const out = [...shape.slice(0, -1), n];
  if (countOf(out, soil.sizes) > MOST || countOf(out, soil.sizes) * width > 20 * MOST) {
    return undefined;
  }
  const over = (s: Term, axes: readonly number[], to: readonly Dim[] = out): Term =>
    B.broadcast(s, to, axes);
  const [matrix, whole] = [soil.fresh([width, n], "f32"), heldIn(top)];
  const x = dice.chance(0.5) ? B.map("div", a.term, over(whole, [], shape)) : a.term;
  const rows = shape.map((_, i) => `l${i}`);
  const labels = { args: [rows, [rows[rows.length - 1], "m"]], out: [...rows.slice(0, -1), "m"] };
  const product = B.contractBy(labels, x, matrix.term);
  const scales = dice.shuffle([
    over(soil.fresh([n], "f32").term, [out.length - 1]),
    over(whole, []),
    ...dice.chance(0.3) ? [over(soil.fresh([shape[0]]).term, [0])] : [],
  ]);
  const term = scales.reduce<Term>((t, s) => B.map("mul", t, s), product);
  return grown(term, a.bound * matrix.bound * width * 2 ** 8 * 64, a, matrix, top);
};

const someAxes = (soil: Soil, n: number): number[] => {
  const axes = Array.from({ length: n }, (_, i) => i).filter(() => soil.dice.chance(0.5));
  return axes.length > 0 || n === 0 ? axes : [soil.dice.below(n)];
};

/** A term that is the same along a new last axis, where that is not too large. */
const repeated = (soil: Soil, a: Grown): Grown => {
  const shape = [...a.term.shape, soil.dim()];
  return countOf(shape, soil.sizes) > MOST
    ? a
    : grown(B.broadcast(a.term, shape, a.term.shape.map((_, i) => i)), a.bound, a);
};

/** A sum, a largest or an extent over some axes. */
export const fold = (soil: Soil): Grown | undefined => {
  const given = before(soil);
  const a = soil.dice.chance(0.3) ? repeated(soil, given) : given;
  if (a.term.shape.length === 0) return undefined;
  // Over no axis at all, as rules leave it where what they fold repeats.
  const axes = soil.dice.chance(0.1) ? [] : someAxes(soil, a.term.shape.length);
  const [monoid, project] = soil.dice.pick(
    [["sum", "sum"], ["max", "max"], ["extent", "lo"], ["extent", "hi"]] as const,
  );
  const bound = monoid === "sum" ? a.bound * countOf(a.term.shape, soil.sizes) : a.bound;
  return grown(B.foldOver(monoid, project, a.term, axes), bound, a);
};

/** A Gram matrix. */
export const gram = (soil: Soil): Grown | undefined => {
  const a = before(soil);
  const { length } = a.term.shape;
  if (
    length < 1 ||
    countOf(a.term.shape, soil.sizes) * dimOf(soil, a.term.shape[length - 1]) > 20 * MOST
  ) return undefined;
  const bound = a.bound * a.bound * countOf(a.term.shape, soil.sizes);
  return grown(B.gram(a.term, someAxes(soil, length - 1)), bound, a);
};

/** Scores with some tokens masked: beyond an index, by an input, or all of them. */
const masked = (soil: Soil, scores: Term, axis: number): Term => {
  const { dice } = soil;
  const size = dimOf(soil, scores.shape[axis]);
  const keep = dice.pick([
    (): Term => B.map("less", B.iota(scores.shape, axis), 1 + dice.below(size)),
    (): Term => B.map("less", 0.5, soil.fresh(scores.shape, "u2").term),
    (): Term => B.constant(0, scores.shape),
  ])();
  return B.map("select", keep, scores, MASKED);
};

/** Scores with a label an axis; `t` is the axis that is folded. */
interface Scored {
  readonly of: Grown;
  readonly scores: Term;
  readonly labels: readonly string[];
}

/** Scores, often masked. */
const scored = (soil: Soil): Scored | undefined => {
  const { dice } = soil;
  const a = before(soil);
  const { length } = a.term.shape;
  if (length === 0) return undefined;
  const axis = dice.below(length);
  const plain = dice.chance(0.1) ? a.term : clamped(a, dice.pick([5, 40])).term;
  const scores = dice.chance(0.6) ? masked(soil, plain, axis) : plain;
  return { of: a, scores, labels: a.term.shape.map((_, i) => i === axis ? "t" : `r${i}`) };
};

/** Values of a fold over scores, and the labels of its result. */
interface Valued {
  readonly values: Grown;
  readonly axes: readonly string[];
  readonly rows: readonly string[];
  readonly channels: readonly string[];
}

/** Values of some rows, the tokens and up to two channel axes; sometimes the same along some of them. */
const valued = (soil: Soil, { of, labels }: Scored): Valued | undefined => {
  const { dice } = soil;
  const { shape: dims } = of.term;
  const shared = labels.filter((l) => l === "t" || dice.chance(0.5));
  const channels = Array.from(
    { length: dice.below(3) },
    (_, i) => ({ label: `c${i}`, dim: soil.dim() }),
  );
  const axes = [
    ...shared.map((label) => ({ label, dim: dims[labels.indexOf(label)] })),
    ...channels,
  ];
  const order = dice.shuffle(axes);
  const shape = order.map((x) => x.dim);
  if (countOf(shape, soil.sizes) > MOST) return undefined;
  if (countOf([...dims, ...channels.map((c) => c.dim)], soil.sizes) > 20 * MOST) return undefined;
  const repeats = dice.chance(0.3)
    ? order.map(({ label }) => dice.chance(label === "t" ? 0.9 : 0.5))
    : order.map(() => true);
  const kept = order.flatMap((_, i) => repeats[i] ? [i] : []);
  const own = kept.map((i) => shape[i]);
  const v = partner(soil, own);
  const values = v.term.shape.length === own.length ? v : soil.fresh(own);
  return {
    values: { ...values, term: B.broadcast(values.term, shape, kept) },
    axes: order.map((x) => x.label),
    rows: labels.filter((l) => l !== "t"),
    channels: channels.map((c) => c.label),
  };
};

/** Values times a matrix of a channel axis and a number of each token, as a rotated direction has its norm. */
const turned = (soil: Soil, v: Valued): Valued => {
  const { term, bound } = v.values;
  const [channel] = v.channels;
  const axis = v.axes.indexOf(channel);
  const size = term.shape[axis];
  if (channel === undefined || typeof size !== "number") return v;
  const m = soil.fresh([size, size]);
  const axes = v.axes.map((l) => l === channel ? "to" : l);
  const product = B.contractBy({ args: [v.axes, [channel, "to"]], out: axes }, term, m.term);
  const token = v.axes.indexOf("t");
  const s = soil.fresh([term.shape[token]]);
  const scaled = B.map("mul", product, B.broadcast(s.term, product.shape, [token]));
  const values = grown(scaled, bound * m.bound * s.bound * size, v.values, m, s);
  return { ...v, values, axes: v.axes };
};

/** Values of which some rows, of those that scores have too, are made in another way than the rest. */
const grouped = (soil: Soil, v: Valued): Valued => {
  const { term } = v.values;
  const axis = v.axes.findIndex((l, i) => v.rows.includes(l) && Number(term.shape[i]) > 1);
  if (axis < 0 || soil.dice.chance(0.5)) return v;
  const size = term.shape[axis] as number;
  const at = 1 + soil.dice.below(size - 1);
  const [a, b] = [slice(term, axis, 0, at), slice(term, axis, at, size)];
  return { ...v, values: { ...v.values, term: concat([B.map("neg", a), B.cast(b, "f32")], axis) } };
};

/** Values of some tokens with what leaves a fold over them: a small factor, often scaled, or scales of channels. */
const leaving = (soil: Soil, tokens: number, width: number): Grown => {
  const { dice } = soil;
  const rank = 1 + dice.below(width);
  if (dice.chance(0.3)) {
    const [x, s] = [soil.fresh([tokens, width]), soil.fresh([width])];
    const scaled = B.map("mul", x.term, B.broadcast(s.term, x.term.shape, [1]));
    return grown(scaled, x.bound * s.bound, x, s);
  }
  const [large, small] = [soil.fresh([tokens, rank]), soil.fresh([rank, width])];
  const product = B.contractBy(
    { args: [["t", "i"], ["i", "c"]], out: ["t", "c"] },
    large.term,
    small.term,
  );
  const bound = large.bound * small.bound * rank;
  if (dice.chance(0.5)) return grown(product, bound, large, small);
  const s = soil.fresh([tokens]);
  const scaled = B.map("mul", product, B.broadcast(s.term, product.shape, [0]));
  return grown(scaled, bound * s.bound, large, small, s);
};

/** A mean of tokens in pieces, one of them with what leaves a fold, as a window around a packed cache has it. */
export const windowed = (soil: Soil): Grown | undefined => {
  const { dice } = soil;
  const [rows, width] = [1 + dice.below(3), 1 + dice.below(6)];
  const own = leaving(soil, rows + 1 + dice.below(6), width);
  const others = [dice.below(3), 1 + dice.below(3)].map((n) =>
    n === 0 ? undefined : soil.fresh([n, width], "f32")
  );
  const pieces = dice.shuffle([own, ...others].flatMap((g) => g ?? []));
  const values = concat(pieces.map((g) => B.cast(g.term, "f32")), 0);
  const plain = soil.fresh([rows, values.shape[0]], "f32");
  const scores = clamped(plain, 40).term;
  const labels = { args: [["r", "t"], ["t", "c"]], out: dice.shuffle(["r", "c"]) };
  const term = B.foldBy("softmax", "mean", labels, [
    dice.chance(0.5) ? masked(soil, scores, 1) : scores,
    values,
  ]);
  return grown(term, Math.max(...pieces.map((g) => g.bound)), plain, ...pieces);
};

/** A softmax-weighted mean. */
export const softmax = (soil: Soil): Grown | undefined => {
  const from = scored(soil);
  const plain = from && valued(soil, from);
  if (from === undefined || plain === undefined) return undefined;
  const v = soil.dice.chance(0.3) ? turned(soil, plain) : grouped(soil, plain);
  const out = soil.dice.shuffle([...v.rows, ...v.channels]);
  const labels = { args: [from.labels, v.axes], out };
  const term = B.foldBy("softmax", "mean", labels, [from.scores, v.values.term]);
  return grown(term, v.values.bound, from.of, v.values);
};

/** Means over the same scores, brought together: of channels, of tokens alone, of the scores themselves. */
export const siblings = (soil: Soil): Grown | undefined => {
  const { dice } = soil;
  const from = scored(soil);
  if (from === undefined) return undefined;
  const rows = from.labels.filter((l) => l !== "t");
  const mean = (): Grown | undefined => {
    if (dice.chance(0.2)) {
      const near = B.map("exp", B.map("neg", B.map("abs", clamped(from.of, 20).term)));
      const values = dice.chance(0.5) ? near : B.map("mul", B.map("less", from.scores, 1), near);
      const labels = { args: [from.labels, from.labels], out: rows };
      return grown(B.foldBy("softmax", "mean", labels, [from.scores, values]), 1, from.of);
    }
    const v = valued(soil, from);
    if (v === undefined) return undefined;
    const labels = { args: [from.labels, v.axes], out: [...rows, ...v.channels] };
    const term = B.foldBy("softmax", "mean", labels, [from.scores, v.values.term]);
    if (countOf(term.shape, soil.sizes) > MOST) return undefined;
    const folded = v.channels.map((_, i) => rows.length + i);
    const joined = dice.pick(["sum", "max"] as const);
    const one = folded.length === 0 ? term : B.foldOver(joined, joined, term, folded);
    return grown(one, v.values.bound * countOf(term.shape, soil.sizes), from.of, v.values);
  };
  const means = Array.from({ length: 2 + dice.below(2) }, mean);
  return means.reduce((a, b) =>
    a && b && grown(B.map("add", a.term, b.term), a.bound + b.bound, a, b)
  );
};
