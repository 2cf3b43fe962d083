/**
 * Whole numbers that say where something lies, as integers: a place's digit is a shift and a mask, and what is
 * known of its range need not be checked.
 *
 * ```text
 * before: toI32(t − rint(t / 512 − 511 / 1024) · 512), brought between 0 and 511
 * after:  t % 512
 * ```
 * @module
 */
import { digitOf, fromMiddleOf, overOf } from "../../dsl/core/digits.ts";
import type { Dim, Term, TermOf } from "../../dsl/core/term.ts";
import { bin, type Expr, int, num, reversed, select, un, vec4 } from "../ir/expr.ts";

/** Sizes of dims, as expressions. */
export interface Dims {
  readonly size: (dim: Dim) => Expr;
}

/** Operators of integers that are the same in both. */
const SAME = ["add", "sub", "mul", "min", "max"] as const;

/** Whole numbers made of places and constants at an index, or nothing. */
export const integerAt = (low: Dims, t: Term, index: readonly Expr[]): Expr | undefined => {
  const of = (x: Term): Expr | undefined => integerAt(low, x, index);
  switch (t.tag) {
    case "constant":
      return Number.isInteger(t.value) && Math.abs(t.value) < 2 ** 24 ? int(t.value) : undefined;
    case "iota":
      return bin("add", index[t.axis], low.size(t.start));
    case "broadcast":
      return integerAt(low, t.args[0], t.axes.map((a) => index[a]));
    case "cast": {
      const x = t.dtype === "u32" ? of(t.args[0]) : undefined;
      // Below 0 a cast gives 0.
      return x === undefined || x.lo >= 0 ? x : bin("max", x, int(0));
    }
    case "map": {
      // Division of integers goes towards 0.
      const digit = digitOf(t);
      const whole = digit ?? overOf(t);
      if (whole !== undefined) {
        const x = of(whole.of);
        return x !== undefined && x.lo >= 0
          ? bin(digit === undefined ? "div" : "rem", x, int(whole.by))
          : undefined;
      }
      const op = SAME.find((name) => name === t.op);
      const [a, b] = op === undefined ? [] : t.args.map(of);
      return op !== undefined && a !== undefined && b !== undefined ? bin(op, a, b) : undefined;
    }
    default:
      return undefined;
  }
};

/** Whole numbers of four neighbours of which the first is a multiple of 4: their last digits, or their whole parts. */
export const wideDigits = (
  low: Dims,
  t: TermOf<"map">,
  index: readonly Expr[],
  axis: number,
): Expr | undefined => {
  const digit = digitOf(t as Term);
  const whole = digit ?? overOf(t as Term);
  if (whole?.of.tag !== "iota" || whole.of.axis !== axis || whole.by % 4 !== 0) return undefined;
  const first = integerAt(low, whole.of, index);
  if (first === undefined || first.factor % 4 !== 0) return undefined;
  const base = integerAt(low, t as Term, index);
  if (base === undefined) return undefined;
  const all = un("splat", un("toF32", base));
  return digit === undefined ? all : bin("add", all, vec4([0, 1, 2, 3].map(num)));
};

/** Operators that read four neighbours, of a vector or of a place in it. */
interface Four extends Dims {
  readonly tryWide: (term: Term, index: readonly Expr[], axis: number) => Expr | undefined;
}

/**
 * Four neighbours look up rows at equal distances from the middle of a run: those of a table side by side, from the
 * last to the first before the middle. Nothing where they are no such four; the place of the first is a multiple of 4.
 */
export const wideFromMiddle = (
  low: Four,
  { args: [table, rows], batch = 0 }: TermOf<"gather">,
  index: readonly Expr[],
  axis: number,
): Expr | undefined => {
  let [at, own, along] = [rows, index.slice(0, rows.shape.length), axis];
  if (at.shape.length !== batch || table.shape.length !== batch + 1) return undefined;
  while (at.tag === "broadcast" || at.tag === "cast") {
    if (at.tag === "broadcast") {
      const { axes } = at;
      if (!axes.includes(along)) return undefined;
      [own, along] = [axes.map((a) => own[a]), axes.indexOf(along)];
    }
    at = at.args[0];
  }
  const middle = fromMiddleOf(at);
  const last = middle && digitOf(middle.of);
  if (middle === undefined || last === undefined || last.by !== middle.by || middle.by % 8 !== 0) {
    return undefined;
  }
  const steps = last.of.tag === "iota" && last.of.axis === along && last.of.shape.length === 1;
  const first = steps ? integerAt(low, middle.of, own) : undefined;
  if (first === undefined || first.factor % 4 !== 0) return undefined;
  const [four, half] = [bin("div", first, int(4)), middle.by / 8];
  const from = bin("max", bin("sub", four, int(half)), bin("sub", int(half - 1), four));
  const place = bin("mul", from, int(4));
  const wide = low.tryWide(table, [...index.slice(0, batch), place], batch);
  return wide && select(bin("lt", first, int(middle.by / 2)), reversed(wide), wide);
};
