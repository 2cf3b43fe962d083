/**
 * Linear forms ({@link Form}) through the linear nodes of a program, all of them exactly.
 *
 * Views rename axes, split them, or leave them away; a view that is more than that (a slice, a
 * concatenation, a look-up, a reshape whose parts do not nest) is a factor of ones and zeros. A product
 * with a tensor is one more factor, and a sum forgets axes of the result.
 * @module
 */
import { constant, iota, map, sizeTerm } from "../core/build.ts";
import { regroups } from "../core/shape.ts";
import type { Dim, Shape, Term } from "../core/term.ts";
import {
  type Axes,
  type Axis,
  fresh,
  has,
  over,
  scalar,
  shapeOf,
  spread,
  type Tensor,
  union,
} from "./einsum.ts";
import { exchanged, type Form, type Forms } from "./noise.ts";

/** The form times factors over its axes. */
export const times = (f: Form, ...factors: readonly Tensor[]): Form => ({
  ...f,
  factors: [...f.factors, ...factors],
});

/** The form with other axes of the result: of those that were there, the others are summed. */
const onto = (f: Form, out: Axes, before: readonly Axis[]): Form => {
  const gone = before.filter((a) => !has(out.flat(), a) && !has(f.own, a));
  return { ...f, out, summed: union(f.summed, gone) };
};

/** Dimensions in another order. */
export const permuted = (f: Form, axes: readonly number[]): Form => ({
  ...f,
  out: axes.map((i) => f.out[i]),
});

/** The same error at every place of new dimensions. */
export const repeated = (f: Form, shape: Shape, axes: readonly number[]): Form => ({
  ...f,
  out: shape.map((size, i) => axes.includes(i) ? f.out[axes.indexOf(i)] : [fresh(size)]),
});

/** The place of an element of merged axes, row-major. */
const placeOf = (axes: readonly Axis[]): Tensor => {
  const shape = shapeOf(axes);
  const size = ({ size: n }: Axis): Term => sizeTerm(n);
  const term = axes.reduce<Term>((place, _, i) => {
    const stride = axes.slice(i + 1).map(size).reduce<Term | undefined>(
      (a, b) => a === undefined ? b : map("mul", a, b),
      undefined,
    );
    return map("add", place, stride ? map("mul", iota(shape, i), stride) : iota(shape, i));
  }, constant(0, shape));
  return { term, axes };
};

/** 1 where two places are the same, else 0. */
const same = (a: Tensor, b: Tensor): Tensor => {
  const axes = union(a.axes, b.axes);
  const [x, y] = [spread(a, axes), spread(b, axes)];
  return { term: map("sub", 1, map("add", map("less", x, y), map("less", y, x))), axes };
};

/** Dimensions `from` to `to` replaced: place i of the new ones is place i + offset of the old. */
export const picked = (
  f: Form,
  from: number,
  to: number,
  dims: Shape,
  offset: Term = sizeTerm(0),
): Form => {
  const axes = dims.map(fresh);
  const { term } = placeOf(axes);
  const old = f.out.slice(from, to).flat();
  const out = [...f.out.slice(0, from), ...axes.map((a) => [a]), ...f.out.slice(to)];
  return onto(times(f, same({ term: map("add", term, offset), axes }, placeOf(old))), out, old);
};

/** Rows of a table by an index, for each place of the first `batch` axes. */
export const looked = (f: Form, index: Term, batch = 0): Form => {
  const rows = index.shape.map((size, i) => i < batch ? f.out[i] : [fresh(size)]);
  const factor = same(over(index, rows), placeOf(f.out[batch]));
  return onto(times(f, factor), [...rows, ...f.out.slice(batch + 1)], f.out[batch]);
};

/** An axis of a size in two: which it is, is known by what it was. */
const cut = (axis: Axis, sizes: readonly [number, number]): readonly [Axis, Axis] => {
  const part = (i: 0 | 1): Axis => ({ id: `${axis.id}/${sizes.join("x")}.${i}`, size: sizes[i] });
  return [part(0), part(1)];
};

/** Axes for dims of the same count, and what had to be cut; nothing where the parts do not nest. */
const fitted = (atoms: readonly Axis[], dims: Shape) => {
  const cuts = new Map<string, readonly Axis[]>();
  const queue = [...atoms];
  const out: Axis[][] = [];
  for (const dim of dims) {
    const taken: Axis[] = [];
    let left: Dim = dim;
    while (left !== 1) {
      const atom = queue.shift();
      if (atom === undefined) return undefined;
      if (atom.size === left) left = 1;
      else if (atom.size !== 1) {
        if (typeof left === "string" || typeof atom.size === "string") return undefined;
        if (left % atom.size === 0) left /= atom.size;
        else if (atom.size % left === 0) {
          const [head, tail] = cut(atom, [left, atom.size / left]);
          cuts.set(atom.id, [head, tail]);
          taken.push(head);
          queue.unshift(tail);
          break;
        } else return undefined;
      }
      taken.push(atom);
    }
    out.push(taken);
  }
  const parts = (a: Axis): readonly Axis[] => cuts.get(a.id)?.flatMap(parts) ?? [a];
  return { cuts: new Map([...cuts].map(([id, two]) => [id, two.flatMap(parts)])), out };
};

/** The form under another shape. */
export const reshaped = (f: Form, from: Shape, to: Shape): Form =>
  // From the end, so that places of the groups before stay what they are.
  [...regroups(from, to)].reverse().reduce((g, { from: [i, j], to: [k, l] }) => {
    const old = g.out.slice(i, j).flat();
    const dims = to.slice(k, l);
    const fit = fitted(old, dims);
    if (fit === undefined) return picked(g, i, j, dims);
    const parts = exchanged(g, fit.cuts);
    return { ...parts, out: [...parts.out.slice(0, i), ...fit.out, ...parts.out.slice(j)] };
  }, f);

/** A form summed over the dimensions whose labels are not in `out`. */
export const folded = (f: Form, labels: readonly string[], out: readonly string[]): Form =>
  onto(f, out.map((l) => f.out[labels.indexOf(l)]), f.out.flat());

/** A form with labels, times a tensor with labels, summed over the labels that are not in `out`. */
export const weighted = (
  f: Form,
  labels: readonly string[],
  by: Term,
  others: readonly string[],
  out: readonly string[],
): Form => {
  const at = new Map<string, readonly Axis[]>([
    ...others.map((l, i): [string, readonly Axis[]] => [l, [fresh(by.shape[i])]]),
    ...labels.map((l, i): [string, readonly Axis[]] => [l, f.out[i]]),
  ]);
  const axes = (list: readonly string[]): Axes => list.map((l) => at.get(l)!);
  return onto(times(f, over(by, axes(others))), axes(out), [...at.values()].flat());
};

/** The form with one axis a dimension. */
const plain = (f: Form, shape: Shape): Form =>
  f.out.reduce((g, axes, i) => axes.length === 1 ? g : picked(g, i, i + 1, [shape[i]]), f);

/** Nothing of the form's but its noise: every axis is another one. */
const apart = (f: Form): Form => {
  const all = union(f.own, f.summed, f.out.flat(), ...f.factors.map((t) => t.axes));
  return exchanged(f, new Map(all.map((a) => [a.id, [fresh(a.size)]])));
};

/** Kurtosis of a sum of independent uniform noises is at most 3: E[δ²·δ'²] ≤ 3·E[δ²]·E[δ'²]. */
const KURTOSIS = 3;

/** The product of two errors as an error, summed over labels not in `out`; third order is left out. */
export const crossed = (
  [f, labels, shape]: readonly [Form, readonly string[], Shape],
  [g, others, otherShape]: readonly [Form, readonly string[], Shape],
  out: readonly string[],
): Forms => {
  if (f.second || g.second) return [];
  const a = plain(f, shape);
  const alone = apart(plain(g, otherShape));
  const shared = others.flatMap((l, i): [string, readonly Axis[]][] =>
    labels.includes(l) ? [[alone.out[i][0].id, a.out[labels.indexOf(l)]]] : []
  );
  const b = exchanged(alone, new Map(shared));
  const mixed = f.from.some((n) => g.from.includes(n));
  const at = new Map([
    ...others.map((l, i): [string, readonly Axis[]] => [l, b.out[i]]),
    ...labels.map((l, i): [string, readonly Axis[]] => [l, a.out[i]]),
  ]);
  const own = union(a.own, b.own);
  const product: Form = {
    from: [...new Set([...f.from, ...g.from])],
    independent: !mixed && f.independent && g.independent,
    second: true,
    own,
    variance: [...a.variance, ...b.variance, ...(mixed ? [scalar(KURTOSIS)] : [])],
    factors: [...a.factors, ...b.factors],
    summed: [...a.summed, ...b.summed].filter((x) => !has(own, x)),
    out: [],
  };
  return [onto(product, out.map((l) => at.get(l)!), [...at.values()].flat())];
};
