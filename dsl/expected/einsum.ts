/**
 * Products of tensors whose axes have identities, summed over the axes that are not kept.
 *
 * ```text
 * before: q [i, d], T [e, d], s [t], v [t, e], kept: i      after: (q·Tᵀ)[i, e] · (s·v)[e]
 * ```
 *
 * Two at a time: first the pair whose result is smallest beside its operands.
 * @module
 */
import { constant, contractBy, foldBy, map, reshape } from "../core/build.ts";
import { spreadTo } from "../core/spread.ts";
import type { Dim, Shape, Term } from "../core/term.ts";

/** An axis, by identity: two axes of one size are two axes. */
export interface Axis {
  readonly id: string;
  readonly size: Dim;
}

/** A term and the axis of every dimension. */
export interface Tensor {
  readonly term: Term;
  readonly axes: readonly Axis[];
}

/** Axes of a tensor's dimensions: a dimension that was merged has several, one of size 1 may have none. */
export type Axes = readonly (readonly Axis[])[];

let count = 0;

/** An axis that nothing else has. */
export const fresh = (size: Dim): Axis => ({ id: `x${count++}`, size });

/** Is the axis among these? */
export const has = (axes: readonly Axis[], { id }: Axis): boolean => axes.some((a) => a.id === id);

/** Axes of all, each once. */
export const union = (...lists: readonly (readonly Axis[])[]): Axis[] =>
  lists.flat().filter((a, i, all) => all.findIndex((b) => b.id === a.id) === i);

/** Sizes of axes. */
export const shapeOf = (axes: readonly Axis[]): Shape => axes.map((a) => a.size);

/** The same number, without axes. */
export const scalar = (value: number): Tensor => ({ term: constant(value, []), axes: [] });

/** A one for every place of an axis. */
export const ones = (axis: Axis): Tensor => ({ term: constant(1, [axis.size]), axes: [axis] });

/** A term over the axes of its dimensions; an axis along which it only repeats is left out. */
export const over = (term: Term, out: Axes): Tensor => {
  if (term.tag === "constant") return scalar(term.value);
  if (term.tag === "broadcast") return over(term.args[0], term.axes.map((i) => out[i]));
  if (term.tag === "permute") {
    return over(term.args[0], term.axes.map((_, i) => out[term.axes.indexOf(i)]));
  }
  const axes = out.flat();
  return { term: reshape(term, shapeOf(axes)), axes };
};

const labelsOf = (axes: readonly Axis[]): string[] => axes.map((a) => a.id);

/** The tensor over all of these axes, in their order. */
export const spread = ({ term, axes }: Tensor, onto: readonly Axis[]): Term =>
  spreadTo(term, labelsOf(axes), labelsOf(onto), shapeOf(onto));

/** Assumed of a size that is known only when a program runs. */
const LONG = 4096;

const countOf = (axes: readonly Axis[]): number =>
  axes.reduce((n, { size }) => n * (typeof size === "number" ? size : LONG), 1);

const summed = ({ term, axes }: Tensor, kept: readonly Axis[]): Tensor => {
  const out = axes.filter((a) => has(kept, a));
  if (out.length === axes.length) return { term, axes };
  const labels = { args: [labelsOf(axes)], out: labelsOf(out) };
  return { term: foldBy("sum", "sum", labels, [term]), axes: out };
};

const joined = (a: Tensor, b: Tensor, kept: readonly Axis[]): Tensor => {
  const all = union(a.axes, b.axes);
  const out = all.filter((x) => has(kept, x));
  if (out.length === all.length) {
    return { term: map("mul", spread(a, all), spread(b, all)), axes: all };
  }
  const labels = { args: [labelsOf(a.axes), labelsOf(b.axes)], out: labelsOf(out) };
  return { term: contractBy(labels, a.term, b.term), axes: out };
};

/** The product, summed over every axis that is not kept; see the head of the file. */
export const einsum = (tensors: readonly Tensor[], kept: readonly Axis[]): Tensor => {
  let list = tensors;
  while (list.length > 1) {
    const pairs = list.flatMap((a, i) => list.slice(i + 1).map((b) => [a, b] as const));
    const options = pairs.map(([a, b]) => {
      const rest = list.filter((t) => t !== a && t !== b);
      const needed = [...kept, ...rest.flatMap((t) => t.axes)];
      const result = countOf(union(a.axes, b.axes).filter((x) => has(needed, x)));
      return { a, b, rest, needed, cost: result - countOf(a.axes) - countOf(b.axes) };
    });
    const { a, b, rest, needed } = options.reduce((x, y) => y.cost < x.cost ? y : x);
    list = [...rest, joined(a, b, needed)];
  }
  return list.length === 0 ? scalar(1) : summed(list[0], kept);
};
