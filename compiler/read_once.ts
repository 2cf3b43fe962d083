/**
 * Which operands of a product may be computed where they are read.
 * @module
 */
import { isDynamic, knownCount } from "../dsl/core/shape.ts";
import type { Term, TermOf } from "../dsl/core/term.ts";

/** Rows of a tile of `contract`, at least: as few rows of x read each element of W once. */
const TILE_ROWS = 4;

/** Is each element of an operand computed once by a product in tiles, as weights that a token reads are? */
export const readOnce = (product: Term & TermOf<"contract">, arg: number): boolean => {
  const others = product.shape.filter((_, i) =>
    !product.labels.args[arg].includes(product.labels.out[i])
  );
  return arg === 1 && !isDynamic(others) && knownCount(others) <= TILE_ROWS;
};
