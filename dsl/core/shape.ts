/**
 * Arithmetic on shapes: counts with dynamic sizes, and which axes a reshape really regroups.
 * @module
 */
import { groupsOf, sizeOf, type Sizes } from "./dims.ts";
import { ShapeError, shapeText } from "./errors.ts";
import type { Dim, Labels, Shape } from "./term.ts";

export { sizeOf, type Sizes } from "./dims.ts";

/** Number of elements. */
export const countOf = (shape: Shape, sizes: Sizes): number =>
  shape.reduce<number>((n, d) => n * sizeOf(d, sizes), 1);

/** Is a size known only when a program runs? */
export const isDynamic = (dims: Shape): boolean => dims.some((d) => typeof d === "string");

/** Product of the known sizes. */
export const knownCount = (dims: Shape): number =>
  dims.reduce<number>((n, d) => typeof d === "number" ? n * d : n, 1);

/** The number of elements, if every size is known. */
export const staticCount = (dims: Shape): number | undefined =>
  isDynamic(dims) ? undefined : knownCount(dims);

/** Axes `[from, to)` of both sides that hold the same elements. */
export interface Regroup {
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

/** What a product of dims is made of: groups of a name count as the name by their number. */
const factorsOf = (dims: Shape): { count: number; by: number; names: string } => {
  const names: string[] = [];
  let by = 1;
  for (const d of dims) {
    if (typeof d === "number") continue;
    const groups = groupsOf(d);
    names.push(groups?.of ?? d);
    by *= groups?.group ?? 1;
  }
  return { count: knownCount(dims), by, names: names.sort().join("*") };
};

/**
 * Splits a reshape into the smallest runs of axes with equal products, so that an index is
 * flattened only where axes merge or split.
 *
 * Before: `["t", 8, 64] -> ["t", 8, 4, 16]`; after: `t | 8 | 64 -> 4 16`.
 */
export const regroups = (from: Shape, to: Shape): readonly Regroup[] => {
  const known = groups.get(from)?.get(to);
  if (known !== undefined) return known;
  const made = findGroups(from, to);
  if (!groups.has(from)) groups.set(from, new WeakMap());
  groups.get(from)!.set(to, made);
  return made;
};

/** Shapes belong to terms and never change: a pair is looked at once. */
const groups = new WeakMap<Shape, WeakMap<Shape, readonly Regroup[]>>();

const findGroups = (from: Shape, to: Shape): Regroup[] => {
  const fail = (): never => {
    throw new ShapeError(
      "reshape",
      `${shapeText(from)} and ${shapeText(to)} hold different counts`,
    );
  };
  const [whole, other] = [factorsOf(from), factorsOf(to)];
  if (whole.count * other.by !== other.count * whole.by || whole.names !== other.names) fail();
  const out: Regroup[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    const [i0, j0] = [i, j];
    if (i < from.length) i++;
    if (j < to.length) j++;
    for (;;) {
      const [f, t] = [factorsOf(from.slice(i0, i)), factorsOf(to.slice(j0, j))];
      const [a, b] = [f.count * t.by, t.count * f.by];
      if (a === b && f.names === t.names) break;
      const behind = a < b || (a === b && f.names.length < t.names.length);
      if (behind && i < from.length) i++;
      else if (j < to.length) j++;
      else if (i < from.length) i++;
      else fail();
    }
    out.push({ from: [i0, i], to: [j0, j] });
  }
  return out;
};

/** The run whose innermost axis is `axis` of a reshape's result, if the argument has axes there too. */
export const runEndingAt = (from: Shape, to: Shape, axis: number): Regroup | undefined =>
  regroups(from, to).find((g) => axis >= g.to[0] && axis === g.to[1] - 1 && g.from[1] > g.from[0]);

/** Row-major strides of a shape with known sizes. */
export const stridesOf = (shape: readonly number[]): number[] => {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
};

/** Sizes of the labels that a contraction or fold sums over. */
export const summedDims = (labels: Labels, args: readonly { readonly shape: Shape }[]): Dim[] => {
  const dims = new Map(
    labels.args.flatMap((axis, i) => axis.map((l, k): [string, Dim] => [l, args[i].shape[k]])),
  );
  return [...dims].filter(([l]) => !labels.out.includes(l)).map(([, d]) => d);
};

/** A Gram matrix as the contraction of a tensor with itself: its last axis has a twin. */
export const gramLabels = ({ args: [axis], out }: Labels): Labels => ({
  args: [axis, [...axis.slice(0, -1), `${axis[axis.length - 1]}'`]],
  out,
});
