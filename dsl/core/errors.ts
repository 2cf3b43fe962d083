/**
 * Errors of building terms: the operation, what was given, and the two things that disagree.
 * @module
 */
import type { Shape } from "./term.ts";

/** A shape as it is written: `["h","t",64]`. */
export const shapeText = (shape: Shape): string => JSON.stringify(shape);

/** Shapes, dims or notation that do not fit together. */
export class ShapeError extends TypeError {
  /** Name of the class. */
  override readonly name = "ShapeError";
  /** The operation that was asked for. */
  readonly operation: string;

  /** Says what disagrees, after the name of the operation. */
  constructor(operation: string, disagreement: string) {
    super(`${operation}: ${disagreement}`);
    this.operation = operation;
  }
}

/** Values of an argument outside what the operation accepts. */
export class ValueError extends RangeError {
  /** Name of the class. */
  override readonly name = "ValueError";
  /** The operation that was asked for. */
  readonly operation: string;

  /** Says what was out of range, after the name of the operation. */
  constructor(operation: string, disagreement: string) {
    super(`${operation}: ${disagreement}`);
    this.operation = operation;
  }
}
