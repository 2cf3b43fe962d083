/**
 * An error as linear forms in independent noises, and its expected square.
 *
 * ```text
 * codes [t, d] of K, times a scale [t], times q [d], summed over d, times p [t], summed over t:
 *   error = Σ_td η[t, d] · scale[t] · q[d] · p[t]            η: the rounding's own noise
 *   E[error²] = Σ_td variance[t, d] · (scale[t] · q[d] · p[t])²
 * ```
 *
 * A form keeps its coefficients as factors, each with its axes. So a number that is repeated stays one
 * number: coefficients are summed over the axes that the noise does not have, then squared, and the
 * squares are summed over those that it has. How forms go through a program is in `linear.ts`.
 *
 * Where noises may hang together in a way that is not known, deviations are added instead of squares:
 * E[(a + b)²] ≤ (√E[a²] + √E[b²])².
 * @module
 */
import { constant, map, reshape } from "../core/build.ts";
import type { Shape, Term } from "../core/term.ts";
import {
  type Axes,
  type Axis,
  einsum,
  fresh,
  has,
  ones,
  over,
  shapeOf,
  spread,
  type Tensor,
  union,
} from "./einsum.ts";

/** One rounding's part in the error of a tensor; see the head of the file. */
export interface Form {
  /** The roundings: one, the two of a product, or all that a mixture may hold. */
  readonly from: readonly number[];
  /** Are the noises of different places independent? Else nothing is known but their variances. */
  readonly independent: boolean;
  /** Is it a product of two errors? */
  readonly second: boolean;
  /** Axes of the noise. */
  readonly own: readonly Axis[];
  /** Its variance: a product of tensors over its axes. */
  readonly variance: readonly Tensor[];
  /** Coefficients: a product of tensors over axes of the noise, of the result and of `summed`. */
  readonly factors: readonly Tensor[];
  /** Axes of coefficients alone, over which they are summed. */
  readonly summed: readonly Axis[];
  /** Axes of the result. */
  readonly out: Axes;
}

/** An error: the sum of its forms; none where a value is exact. */
export type Forms = readonly Form[];

/** The noise of one rounding, or, `from` several that are no longer apart, only its variance. */
export const noise = (from: readonly number[], variance: Term, independent = true): Form => {
  const own = variance.shape.map((size, i): Axis =>
    independent ? { id: `n${from.join()}.${i}`, size } : fresh(size)
  );
  const out = own.map((a) => [a]);
  return {
    from,
    independent,
    second: false,
    own,
    variance: [over(variance, out)],
    factors: [],
    summed: [],
    out,
  };
};

/** Every axis exchanged for another, or for the parts it is cut in. */
export const exchanged = (f: Form, by: ReadonlyMap<string, readonly Axis[]>): Form => {
  if (by.size === 0) return f;
  const axes = (list: readonly Axis[]): Axis[] => list.flatMap((a) => by.get(a.id) ?? [a]);
  const tensor = ({ term, axes: old }: Tensor): Tensor => ({
    term: reshape(term, shapeOf(axes(old))),
    axes: axes(old),
  });
  return {
    ...f,
    own: axes(f.own),
    variance: f.variance.map(tensor),
    factors: f.factors.map(tensor),
    summed: axes(f.summed),
    out: f.out.map(axes),
  };
};

/** Coefficients, a product over axes of the noise and of the result. */
const coefficients = (f: Form): Tensor[] => {
  const lone = f.summed.filter((a) => !f.factors.some((t) => has(t.axes, a)));
  const done: Tensor[] = [];
  let rest: readonly Tensor[] = [...f.factors, ...lone.map(ones)];
  while (rest.length > 0) {
    // What hangs together by axes that are summed.
    let group: readonly Tensor[] = [rest[0]];
    for (let size = 0; size < group.length;) {
      size = group.length;
      const tied = group.flatMap((t) => t.axes).filter((a) => has(f.summed, a));
      const members = group;
      group = rest.filter((t) => members.includes(t) || t.axes.some((a) => has(tied, a)));
    }
    const members = group;
    rest = rest.filter((t) => !members.includes(t));
    done.push(einsum(members, members.flatMap((t) => t.axes).filter((a) => !has(f.summed, a))));
  }
  return done;
};

const each = (op: (t: Term) => Term, list: readonly Tensor[]): Tensor[] =>
  list.map(({ term, axes }) => ({ term: op(term), axes }));
const square = (t: Term): Term => map("mul", t, t);
const root = (t: Term): Term => map("sqrt", t);
const added = (terms: readonly Term[]): Term => terms.reduce((a, b) => map("add", a, b));

/** E[form²] for every element of the result. */
const squareOf = (f: Form, shape: Shape): Term => {
  const flat = f.out.flat();
  const parts = f.independent
    ? [...f.variance, ...each(square, coefficients(f))]
    : [...each(root, f.variance), ...each((t) => map("abs", t), coefficients(f))];
  const lone = f.own.filter((a) => !has(flat, a) && !parts.some((t) => has(t.axes, a)));
  const total = spread(einsum([...parts, ...lone.map(ones)], flat), flat);
  return reshape(f.independent ? total : square(total), shape);
};

/** May two forms be correlated? A product of errors is not, with either of them. */
const related = (a: Form, b: Form): boolean =>
  a.independent && b.independent
    ? a.from.length === b.from.length && a.from.every((n) => b.from.includes(n))
    : a.from.some((n) => b.from.includes(n));

/** Expected square of an error: squares of unrelated forms add, of others their deviations do. */
export const variance = (forms: Forms, shape: Shape): Term => {
  const groups: Form[][] = [];
  for (const f of forms) {
    const near = groups.filter((g) => g.some((h) => related(f, h)));
    near.forEach((g) => groups.splice(groups.indexOf(g), 1));
    groups.push([f, ...near.flat()]);
  }
  if (groups.length === 0) return constant(0, shape);
  return added(groups.map((group) => {
    const squares = group.map((f) => squareOf(f, shape));
    return squares.length === 1 ? squares[0] : square(added(squares.map(root)));
  }));
};

/** Two forms of one noise with its axes at the same places: one form, their coefficients added. */
const merged = (a: Form, b: Form): Form | undefined => {
  const ids = (f: Form): string => f.own.map((x) => x.id).sort().join();
  const alike = a.independent && b.independent && related(a, b) && ids(a) === ids(b) &&
    a.out.every((axes, i) =>
      axes.length === b.out[i].length &&
      axes.every((x, k) => {
        const y = b.out[i][k];
        return x.id === y.id || (x.size === y.size && !has(a.own, x) && !has(b.own, y));
      })
    );
  if (!alike) return undefined;
  const places = new Map(
    b.out.flatMap((axes, i) => axes.map((y, k): [string, Axis] => [y.id, a.out[i][k]])),
  );
  const whole = (f: Form): Tensor => einsum(coefficients(f), union(f.own, f.out.flat()));
  const [x, other] = [whole(a), whole(b)];
  const y = { ...other, axes: other.axes.map((l) => places.get(l.id) ?? l) };
  const axes = union(x.axes, y.axes);
  const term = map("add", spread(x, axes), spread(y, axes));
  return { ...a, factors: [{ term, axes }], summed: [] };
};

/** The error of a sum. */
export const together = (...lists: readonly Forms[]): Forms =>
  lists.flat().reduce<Forms>((done, f) => {
    for (const [i, g] of done.entries()) {
      const one = merged(g, f);
      if (one !== undefined) return done.with(i, one);
    }
    return [...done, f];
  }, []);
