/**
 * A tensor as the matrices a routine takes: `[...batch, rows, channels]`.
 *
 * ```text
 * ["b", 3, 20, 64], batch 1  ->  ["b", 60, 64]     rows merge with tokens where sizes are known
 * ["t", 64]                  ->  ["t", 64]         one axis of rows may be dynamic
 * ```
 * @module
 */
import { ShapeError, shapeText } from "../core/errors.ts";
import { staticCount } from "../core/shape.ts";
import type { Dim, Shape } from "../core/term.ts";
import { axesOf } from "./labelled.ts";

/** Sizes of the matrices, and whether they are known to be wider than tall. */
export interface Matrices {
  readonly lead: Shape;
  readonly rows: Dim;
  readonly columns: number;
  readonly wide: boolean;
}

/** The matrices of a tensor. */
export const matricesOf = (operation: string, shape: Shape, batch: number): Matrices => {
  const { batchDims: lead, rowDims, channels: columns } = axesOf(operation, shape, batch);
  const rows = rowDims.length === 1 ? rowDims[0] : staticCount(rowDims);
  if (rows === undefined) {
    throw new ShapeError(
      operation,
      `rows of ${
        shapeText(shape)
      } do not merge, some are dynamic: make axes independent with perHead or join them`,
    );
  }
  return { lead, rows, columns, wide: typeof rows === "number" && rows < columns };
};

/** Axes of the transpose of the last two. */
export const transposed = (axes: number): number[] =>
  Array.from({ length: axes }, (_, i) => i < axes - 2 ? i : 2 * axes - 3 - i);
