/**
 * Terms staged in group memory, as sources of the loop language.
 * @module
 */
import type { Term } from "../dsl/core/term.ts";
import { type Arr, bin, type Expr, int, load } from "../compiler/ir/expr.ts";
import { linear, type Source } from "../compiler/lower/memory.ts";
import type { HeldAxes } from "../compiler/lower/row.ts";

/** A staged term in group memory. */
export interface Held {
  readonly arr: Arr;
  readonly axes: HeldAxes;
  readonly size: number;
}

/** A staged term of row `r` as a source. */
export const holdRow = ({ arr, axes, size }: Held, term: Term, r: Expr): Source => {
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const at = (index: readonly Expr[]): Expr =>
    bin("add", bin("mul", r, int(size)), linear(dims, axes.held.map((a) => index[a])));
  return {
    at: (index) => load(arr, at(index)),
    wide: (index, axis) => {
      const place = at(index);
      const innermost = axis === term.shape.length - 1 &&
        axes.held[axes.held.length - 1] === term.shape.length - 1;
      return innermost && place.factor % 4 === 0 ? load(arr, place, true) : undefined;
    },
  };
};
