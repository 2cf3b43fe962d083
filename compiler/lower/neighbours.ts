/**
 * Four values along an axis that merges pairs: points of a plane side by side, or one value for both of a pair.
 *
 * ```text
 * before: x [n, 2] seen as [2n], at 8k + 4 … 8k + 7        four reads of one value
 * after:  a = x[4k …, 0],  b = x[4k …, 1]                   four values each, for eight of the merged axis
 *         zip a b, its high half                            a2 b2 a3 b3
 * ```
 * @module
 */
import type { Shape } from "../../dsl/core/term.ts";
import { bin, type Expr, int, select, zip32 } from "../ir/expr.ts";

type Index = readonly Expr[];

/** Values of a pair. */
const PAIR = 2;
/** Values of a vector. */
const LANES = 4;

/**
 * Four values of a tensor of pairs from an even one of them on; `at` is the index of the first, `wide` reads
 * four of one side of the pairs along the axis before the last. Nothing where pairs do not come in fours.
 */
export const neighbours = (
  shape: Shape,
  at: Index,
  wide: (index: Index, axis: number) => Expr | undefined,
): Expr | undefined => {
  const [inner, along] = [shape.length - 1, shape.length - 2];
  const count = shape[along];
  if (shape[inner] !== PAIR || typeof count !== "number" || count % LANES !== 0) return undefined;
  if (at[inner].op !== "const" || at[inner].value !== 0 || at[along].factor % PAIR !== 0) {
    return undefined;
  }
  const within = bin("rem", at[along], int(LANES));
  const first = bin("mul", bin("div", at[along], int(LANES)), int(LANES));
  const side = (k: number): Expr | undefined => wide([...at.slice(0, along), first, int(k)], along);
  const [a, b] = [side(0), side(1)];
  if (a === undefined || b === undefined) return undefined;
  const [low, high] = [0, 1].map((half) => zip32(a, b, half));
  return within.op === "const"
    ? within.value === 0 ? low : high
    : select(bin("eq", within, int(0)), low, high);
};
