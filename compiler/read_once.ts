/**
 * Which operands of a product may be computed where they are read.
 * @module
 */
import { isDynamic, knownCount } from "../dsl/core/shape.ts";
import type { Term, TermOf } from "../dsl/core/term.ts";
import { computedBy } from "./kernel.ts";

/** Rows of a tile of `contract`, at least: as few rows of x read each element of W once. */
const TILE_ROWS = 4;

/**
 * Is each element of an operand computed once by a product in tiles, as weights that a token reads are?
 * Decoding is; sums of its own an operand must not have.
 */
export const readOnce = (
  product: Term & TermOf<"contract">,
  arg: number,
  stored: ReadonlySet<Term>,
): boolean => {
  const others = product.shape.filter((_, i) =>
    !product.labels.args[arg].includes(product.labels.out[i])
  );
  const sums = computedBy([product.args[arg]], stored)
    .some(({ tag }) => tag === "fold" || tag === "contract" || tag === "routine");
  return arg === 1 && !sums && !isDynamic(others) && knownCount(others) <= TILE_ROWS;
};
