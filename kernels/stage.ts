/**
 * Terms staged in group memory, as sources of the loop language.
 * @module
 */
import { isPacked } from "../dsl/core/dtype.ts";
import { VECTOR } from "../dsl/core/layout.ts";
import type { Term } from "../dsl/core/term.ts";
import { type Arr, bin, bytes, type Expr, int, load, un, vec4, word } from "../compiler/ir/expr.ts";
import { linear, type Source } from "../compiler/lower/memory.ts";
import type { HeldAxes } from "../compiler/lower/row.ts";

/** A staged term in group memory. */
export interface Held {
  readonly arr: Arr;
  readonly axes: HeldAxes;
  readonly size: number;
  /** Codes, four in a word: a row is whole vectors of them. */
  readonly coded?: boolean;
}

/** Can codes be held so? Their last axis is held, in whole vectors. */
export const holdsVectors = (term: Term, { held }: HeldAxes): boolean =>
  isPacked(term.dtype) && held[held.length - 1] === term.shape.length - 1 &&
  (term.shape[term.shape.length - 1] as number) % VECTOR === 0;

/** One held code. */
const codeAt = (arr: Arr, place: Expr): Expr => {
  const by = un("toU32", bin("mul", bin("rem", place, int(4)), int(8)));
  const word4 = load(arr, bin("div", place, int(4)));
  return un("toF32", bin("and", bin("shr", word4, by), word(0xff)));
};

/** Four held codes: of a vector that is known by its place, or each by itself. */
const codesAt = (arr: Arr, place: Expr, named: (value: Expr) => Expr): Expr => {
  const inside = bin("rem", place, int(VECTOR));
  if (inside.op !== "const" || inside.value % 4 !== 0) {
    return vec4([0, 1, 2, 3].map((k) => codeAt(arr, bin("add", place, int(k)))));
  }
  const first = bin("div", bin("sub", place, inside), int(4));
  return bytes(named(load(arr, first, true)), inside.value / 4);
};

/** A staged term of row `r` as a source. */
export const holdRow = (
  { arr, axes, size, coded }: Held,
  term: Term,
  r: Expr,
  named: (value: Expr) => Expr = (value) => value,
): Source => {
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const at = (index: readonly Expr[]): Expr =>
    bin("add", bin("mul", r, int(size)), linear(dims, axes.held.map((a) => index[a])));
  if (coded) {
    return {
      at: (index) => codeAt(arr, at(index)),
      wide: (index, axis) =>
        axis === term.shape.length - 1 ? codesAt(arr, at(index), named) : undefined,
    };
  }
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
