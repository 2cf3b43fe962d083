/**
 * Four tokens of a term at once, and one value for rows that share it.
 * @module
 */
import type { Term } from "../../dsl/core/term.ts";
import { bin, type Expr, int, vec4 } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import type { Frame, Sum } from "./shape.ts";

/** Places of a vector's lanes. */
export const LANES: readonly number[] = [0, 1, 2, 3];

/** Four tokens of a term from token t of the part; the last token of all is read again beyond it. */
export const fourTokens = (
  b: Builder,
  frame: Frame,
  term: Term,
  axis: number,
  t: Expr,
  index: (token: Expr) => Expr[],
): Expr => {
  const { low } = b;
  const { here, first, last } = frame;
  here.t = t;
  low.loose = true;
  const wide = low.tryWide(term, index(bin("add", first, t)), axis);
  low.loose = false;
  return wide ?? vec4(LANES.map((k) => {
    here.t = bin("add", t, int(k));
    return low.at(term, index(bin("min", bin("add", first, here.t), last)));
  }));
};

/** One value a row; rows that the values of a sum do not tell apart share it. */
export const eachRow = <A>({ like }: Sum, make: (row: Expr) => A): A[] => {
  const made: A[] = [];
  like.forEach((r, i) => made.push(r === i ? make(int(r)) : made[r]));
  return made;
};
