/**
 * Marks: tensors that are 1 at one place of an axis and 0 elsewhere, as outliers decode to. What they are
 * multiplied with and summed over is one number, read at that place.
 *
 * Before: `Σ_d q[d]·(|d − place| < ½)`; after: `q[place]`, or 0 where the axis has no such place.
 * @module
 */
import type { Term, TermOf } from "../../dsl/core/term.ts";
import { bin, type Expr, int, select, un } from "../ir/expr.ts";

/** Where a mark stands. */
export interface Mark {
  /** The axis that has one mark. */
  readonly axis: number;
  /** The place, repeated along the axis. */
  readonly place: TermOf<"broadcast"> & Term;
  /** Size of the axis. */
  readonly size: number;
}

/** Recognizes a mark at a place that the axis itself has no say in. */
export const markOf = (term: Term): Mark | undefined => {
  if (term.tag !== "map" || term.op !== "less") return undefined;
  const [distance, half] = term.args;
  if (half.tag !== "constant" || half.value !== 0.5) return undefined;
  if (distance.tag !== "map" || distance.op !== "abs") return undefined;
  const [gap] = distance.args;
  if (gap.tag !== "map" || gap.op !== "sub") return undefined;
  const [here, place] = gap.args;
  if (here.tag !== "iota" || here.start !== 0 || place.tag !== "broadcast") return undefined;
  const size = term.shape[here.axis];
  return typeof size === "number" && !place.axes.includes(here.axis) && isWhole(place.args[0])
    ? { axis: here.axis, place, size }
    : undefined;
};

/** Is a place a whole number whatever is stored? */
const isWhole = (term: Term): boolean =>
  term.tag === "input"
    ? /^u\d+$/.test(term.dtype)
    : (term.tag === "reshape" || term.tag === "slice" || term.tag === "permute" ||
      term.tag === "broadcast") && isWhole(term.args[0]);

/** The number behind a mark's place: within the axis, and whether the mark stands there. */
export const placed = (
  at: (term: Term, index: readonly Expr[]) => Expr,
  { place, size }: Mark,
  index: readonly Expr[],
): { readonly at: Expr; readonly is: (value: Expr, otherwise: Expr) => Expr } => {
  const raw = un("toI32", at(place, index));
  return {
    at: bin("min", raw, int(size - 1)),
    is: (value, otherwise) => select(bin("lt", raw, int(size)), value, otherwise),
  };
};
