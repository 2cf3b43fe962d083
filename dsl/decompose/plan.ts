/**
 * Axes of a chain of sites, and for every bond which side is decomposed, from shapes alone.
 *
 * ```text
 * channels [12, 16], tokens at site 0, shape ["t", 192]
 *   bond 1: left t·12 | right 16   -> right, rank 16
 *   sites:  large ["t", 12, 16] stored ["t", 192],  small [16, 16]
 * ```
 *
 * The side that holds a size known only at run time is never the decomposed one; of two known sides it
 * is the smaller. So a full bond is the whole of an orthogonal matrix, and exact.
 * @module
 */
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { staticCount } from "../core/shape.ts";
import type { Dim, Shape } from "../core/term.ts";
import { type Axes, axesOf } from "./labelled.ts";

/** What every chain may say. */
export interface Common {
  /** Index of the site that carries all tokens, 0 unless given. */
  readonly tokens?: number;
  /** Largest bond, one a bond: what is kept of the spectrum. */
  readonly ranks?: readonly number[];
}

/** A chain: the channels of every site, or two sites of which the last has `inner` channels. */
export type Chain =
  | (Common & { readonly channels: readonly number[] })
  | (Common & { readonly inner: number });

/** One tensor of the chain. */
export interface Site {
  readonly name: string;
  /** Names and sizes of its axes. */
  readonly labels: readonly string[];
  readonly dims: Shape;
  /** The shape it is stored in: no axis but the first ones is dynamic. */
  readonly stored: Shape;
  /** Does it carry the magnitude of the input? */
  readonly heavy: boolean;
}

/** The cut behind site k. */
export interface Bond {
  readonly label: string;
  readonly left: readonly string[];
  readonly right: readonly string[];
  /** The side whose Gram matrix is decomposed. */
  readonly side: "left" | "right";
  readonly rank: number;
}

/** All of a chain. */
export interface Plan {
  readonly axes: Axes;
  readonly channels: readonly string[];
  /** The input with its channels split. */
  readonly dims: Shape;
  readonly sites: readonly Site[];
  readonly bonds: readonly Bond[];
}

const channelsOf = (operation: string, chain: Chain, shape: Shape, channels: number): number[] => {
  if ("inner" in chain) {
    if (channels % chain.inner === 0) return [channels / chain.inner, chain.inner];
    throw new ShapeError(
      operation,
      `inner ${chain.inner} does not divide the last axis of ${shapeText(shape)}`,
    );
  }
  const count = chain.channels.reduce((n, c) => n * c, 1);
  if (chain.channels.length >= 2 && count === channels) return [...chain.channels];
  throw new ShapeError(
    operation,
    `channels ${
      chain.channels.join(" x ")
    } are ${count} in ${chain.channels.length} sites, the last axis of ${
      shapeText(shape)
    } is ${channels}`,
  );
};

const cheaper = (
  operation: string,
  left: number | undefined,
  right: number | undefined,
): "left" | "right" => {
  if (left === undefined && right === undefined) {
    throw new ShapeError(operation, "sizes of both the left and the right of a bond are dynamic");
  }
  return right === undefined || (left !== undefined && left < right) ? "left" : "right";
};

/** The plan of a chain for a tensor of this shape. */
export const planOf = (operation: string, chain: Chain, shape: Shape, batch: number): Plan => {
  const axes = axesOf(operation, shape, batch);
  const sizes = channelsOf(operation, chain, shape, axes.channels);
  const { tokens = 0, ranks = [] } = chain;
  const n = sizes.length;
  if (!(Number.isInteger(tokens) && tokens >= 0 && tokens < n)) {
    throw new ValueError(operation, `tokens are at site ${tokens}, the chain has ${n} sites`);
  }
  if (ranks.length > n - 1) {
    throw new ValueError(
      operation,
      `${ranks.length} ranks are given, the chain has ${n - 1} bonds`,
    );
  }
  const channels = sizes.map((_, k) => `j${k}`);
  const size = new Map<string, Dim>([
    ...axes.batch.map((l, i): [string, Dim] => [l, axes.batchDims[i]]),
    ...axes.rows.map((l, i): [string, Dim] => [l, axes.rowDims[i]]),
    ...channels.map((l, k): [string, Dim] => [l, sizes[k]]),
  ]);
  const dimsFor = (labels: readonly string[]): Dim[] => labels.map((l) => size.get(l)!);
  const own = (k: number): string[] => [
    ...(tokens === k ? axes.rows : []),
    ...(k === 0 ? [] : [`d${k}`]),
    channels[k],
  ];
  const bonds = sizes.slice(1).map((_, k): Bond => {
    const left = own(k);
    const right = [...(tokens > k ? axes.rows : []), ...channels.slice(k + 1)];
    const [a, b] = [staticCount(dimsFor(left)), staticCount(dimsFor(right))];
    const side = cheaper(operation, a, b);
    const rank = Math.min(side === "left" ? a! : b!, ranks[k] ?? Infinity);
    size.set(`d${k + 1}`, rank);
    return { label: `d${k + 1}`, left, right, side, rank };
  });
  // Of two sites the large one has the tokens, unless all the channels are at the other.
  const heavy = n === 2 && tokens === 1 && sizes[1] === 1 ? 0 : tokens;
  const sites = sizes.map((_, k): Site => {
    const labels = [...axes.batch, ...own(k), ...(k < n - 1 ? [`d${k + 1}`] : [])];
    const dims = dimsFor(labels);
    const lead = [...axes.batchDims, ...(tokens === k ? axes.rowDims : [])];
    const rest = dims.slice(lead.length);
    const count = staticCount(rest)!;
    const last = rest[rest.length - 1] as number;
    const matrix = rest.length === 1 ? [count] : [count / last, last];
    return {
      name: n > 2 ? `site${k + 1}` : k === heavy ? "large" : "small",
      labels,
      dims,
      stored: [...lead, ...(tokens === k ? [count] : matrix)],
      heavy: k === heavy,
    };
  });
  const all = [...axes.batch, ...axes.rows, ...channels];
  return { axes, channels, dims: dimsFor(all), sites, bonds };
};
