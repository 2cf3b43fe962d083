/**
 * Terms whose axes have names. A chain of factors contracts over several axes at once, and tokens may
 * be a size known only when a program runs: named axes need no product of sizes.
 *
 * ```text
 * before: t [L, D/16, 16], s [16, 16]
 * after:  product({ t, [l j d] }, { s, [d i] }, [l j i])   l is never merged with j
 * ```
 * @module
 */
import { broadcast, contractBy, map, permute } from "../core/build.ts";
import { ShapeError, shapeText } from "../core/errors.ts";
import type { Dim, Shape, Term } from "../core/term.ts";

/** A term and one name an axis. */
export interface Labelled {
  readonly term: Term;
  readonly labels: readonly string[];
}

/** What the axes of `[...batch, ...rows, tokens, channels]` are called, and the channels. */
export interface Axes {
  /** Independent axes. */
  readonly batch: readonly string[];
  /** Rows and tokens: the rows of one matrix. */
  readonly rows: readonly string[];
  /** Size of the last axis. */
  readonly channels: number;
  /** Sizes of the batch axes. */
  readonly batchDims: Shape;
  /** Sizes of rows and tokens. */
  readonly rowDims: Shape;
}

/** Names the axes of an encoded tensor; throws when the channels are not known. */
export const axesOf = (operation: string, shape: Shape, batch: number): Axes => {
  const channels = shape[shape.length - 1];
  if (shape.length < batch + 2) {
    throw new ShapeError(
      operation,
      `needs ${batch} batch axes, tokens and channels, got ${shapeText(shape)}`,
    );
  }
  if (typeof channels !== "number") {
    throw new ShapeError(
      operation,
      `channels of ${shapeText(shape)} have the dynamic size ${channels}`,
    );
  }
  return {
    batch: shape.slice(0, batch).map((_, i) => `b${i}`),
    rows: shape.slice(batch, -1).map((_, i) => `t${i}`),
    channels,
    batchDims: shape.slice(0, batch),
    rowDims: shape.slice(batch, -1),
  };
};

/** The same tensor with its axes in another order. */
export const arrange = (a: Labelled, labels: readonly string[]): Labelled => ({
  term: permute(a.term, labels.map((l) => a.labels.indexOf(l))),
  labels,
});

/** Sizes of some axes. */
export const dimsOf = (a: Labelled, labels: readonly string[]): Dim[] =>
  labels.map((l) => a.term.shape[a.labels.indexOf(l)]);

/** Sum of products over the axes that are not in `out`. */
export const product = (a: Labelled, b: Labelled, out: readonly string[]): Labelled => ({
  term: contractBy({ args: [a.labels, b.labels], out }, a.term, b.term),
  labels: out,
});

/** Every slice along the axes of `weight` times its weight; they stand in `a` in the same order. */
export const weigh = (a: Labelled, weight: Labelled): Labelled => ({
  term: map(
    "mul",
    a.term,
    broadcast(weight.term, a.term.shape, weight.labels.map((l) => a.labels.indexOf(l))),
  ),
  labels: a.labels,
});
