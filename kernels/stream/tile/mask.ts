/**
 * Which tiles are masked altogether: from the least and the largest that the sides of a comparison can
 * be in a tile, computed as the device computes them. No mask is known by name; a term whose ends are
 * not known is dead nowhere.
 *
 * ```text
 * select(token < query + past + 1, s, MASKED)   dead where  least token ≥ largest query + past + 1
 * ```
 * Sums and differences are monotone in each operand, rounded or not: ends are exact.
 * @module
 */
import { MASKED } from "../../../dsl/core/monoid.ts";
import { argsOf, type Term } from "../../../dsl/core/term.ts";
import { bin, type Expr, node, un } from "../../../compiler/ir/expr.ts";
import type { Lower } from "../../../compiler/lower/at.ts";

/** Least and largest index along each axis; the same expression twice where there is one. */
export interface Box {
  readonly lo: readonly Expr[];
  readonly hi: readonly Expr[];
}

/** Least and largest value. */
interface Ends {
  readonly lo: Expr;
  readonly hi: Expr;
}

const flipped = ({ lo, hi }: Ends): Ends => ({ lo: un("neg", hi), hi: un("neg", lo) });

const endsOf = (low: Lower, term: Term, box: Box): Ends | undefined => {
  if (box.lo.every((e, i) => e === box.hi[i])) {
    const value = low.at(term, box.lo);
    return { lo: value, hi: value };
  }
  if (low.sources.has(term)) return undefined;
  if (term.tag === "iota") {
    return { lo: un("toF32", box.lo[term.axis]), hi: un("toF32", box.hi[term.axis]) };
  }
  if (term.tag === "broadcast") {
    const along = (index: readonly Expr[]): Expr[] => term.axes.map((a) => index[a]);
    return endsOf(low, term.args[0], { lo: along(box.lo), hi: along(box.hi) });
  }
  if (term.tag === "constant") return { lo: low.at(term, box.lo), hi: low.at(term, box.lo) };
  if (term.tag !== "map") return undefined;
  const args = term.args.map((t) => endsOf(low, t, box));
  if (args.some((e) => e === undefined)) return undefined;
  const [a, b] = args as Ends[];
  switch (term.op) {
    case "add":
    case "min":
    case "max": {
      const { op } = term;
      return { lo: bin(op, a.lo, b.lo), hi: bin(op, a.hi, b.hi) };
    }
    case "sub":
      return { lo: bin("sub", a.lo, b.hi), hi: bin("sub", a.hi, b.lo) };
    case "neg":
      return flipped(a);
    default:
      return undefined;
  }
};

/** Is a condition certainly true, or certainly false, in the whole box? Nothing where it never is certainly. */
const certain = (low: Lower, term: Term, box: Box, truth: boolean): Expr | undefined => {
  if (low.sources.has(term) || term.tag !== "map") return undefined;
  if (term.op === "less") {
    const [a, b] = term.args.map((t) => endsOf(low, t, box));
    if (a === undefined || b === undefined) return undefined;
    return truth ? bin("lt", a.hi, b.lo) : bin("le", b.hi, a.lo);
  }
  if (term.op !== "mul") return undefined;
  // A product of conditions is true where both are.
  const [a, b] = term.args.map((t) => certain(low, t, box, truth));
  return truth ? both(a, b) : either(a, b);
};

const TRUE = (): Expr => node("const", "bool", [], { value: 1 });
const both = (a: Expr | undefined, b: Expr | undefined): Expr | undefined => {
  if (a === undefined || b === undefined) return undefined;
  return b.op === "const" ? a : a.op === "const" ? b : bin("and", a, b);
};
const either = (a: Expr | undefined, b: Expr | undefined): Expr | undefined =>
  a === undefined || b === undefined ? a ?? b : bin("or", a, b);

/** Are scores masked in the whole box? Nothing where that is never known. */
export const deadIn = (low: Lower, scores: Term, box: Box): Expr | undefined => {
  if (scores.tag === "constant") return scores.value <= MASKED ? TRUE() : undefined;
  if (low.sources.has(scores) || scores.tag !== "map" || scores.op !== "select") return undefined;
  const [condition, yes, no] = argsOf(scores);
  return [
    both(certain(low, condition, box, false), deadIn(low, no, box)),
    both(certain(low, condition, box, true), deadIn(low, yes, box)),
  ].reduce(either);
};
