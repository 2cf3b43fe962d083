/**
 * How lanes of a GPU share the channels and tokens of a streaming fold, and how many tokens a chunk then
 * has: group memory also holds the part that a group adds to, and what each lane found.
 *
 * ```text
 * 64 lanes, 64 channels of u4: a lane owns one word of a row (channels 4w … and 16 + 4w …), 8 lanes a row
 *   lane    0 … 7    8 … 15   …  56 … 63
 *   token   t        t + 1       t + 7        then t + 8, …; what the 8 found is added up at the end
 * ```
 * @module
 */
import { isPacked } from "../../dsl/core/dtype.ts";
import { blocksOf } from "../../dsl/core/layout.ts";
import { type Term, topological } from "../../dsl/core/term.ts";
import type { Schedule, Target } from "../kernel.ts";
import { countOf, type Member, runsAlongTokens } from "./roles.ts";

/** How lanes share a weighted sum. */
export interface Spread {
  /** Vectors of four channels that a lane owns: those of one word, where it holds several. */
  readonly quads: number;
  /** Channels between two of them. */
  readonly stride: number;
  /** Lanes of one token. */
  readonly units: number;
  /** Tokens at once. */
  readonly walks: number;
}

/** Accumulators of four numbers that registers of a lane hold. */
const ACCUMULATORS = 16;

/** The share of group memory that sums of lanes may take. */
const SHARE = 1 / 4;

/** Vectors of four codes in a word of the first packed tensor that values read, and how far apart they are. */
const wordOf = (values: Term): { quads: number; stride: number } => {
  for (const { dtype, shape } of topological([values])) {
    const last = shape[shape.length - 1];
    if (!isPacked(dtype) || typeof last !== "number") continue;
    const [{ bits, width }] = blocksOf(dtype, last).planes;
    return { quads: 8 / bits, stride: width };
  }
  return { quads: 1, stride: 4 };
};

/** Shares the channels of a sum, of which `stretch` in a row have the same scales, and the tokens. */
export const spreadOf = (
  values: Term,
  rows: number,
  count: number,
  stretch: number,
  lanes: number,
  groupFloats: number,
): Spread => {
  const word = wordOf(values);
  let { quads, stride } = word;
  while (quads > 1 && (rows * quads > ACCUMULATORS || stretch % (stride * quads) !== 0)) quads /= 2;
  if (quads === 1) stride = 4;
  const units = count / (4 * quads);
  let walks = Math.max(1, Math.floor(lanes / units));
  while (walks > 1 && rows * walks * count > groupFloats * SHARE) walks = Math.floor(walks / 2);
  return { quads, stride, units, walks };
};

/** Floats of group memory for what lanes found of one sum after the other. */
export const sumsOf = (
  members: readonly Member[],
  rows: number,
  lanes: number,
  groupFloats: number,
): number =>
  Math.max(
    0,
    ...members.filter((m) => !runsAlongTokens(m)).map((m) => {
      const count = countOf(m, m.channels);
      const { walks } = spreadOf(m.term.args[1], rows, count, count, lanes, groupFloats);
      return walks === 1 ? 0 : rows * walks * count;
    }),
  );

/** Floats of group memory that a stream takes on a GPU, for each token of a chunk and besides. */
export const laneMemory = (
  members: readonly Member[],
  rows: number,
  scaledOf: (member: Member) => { readonly parts: number; readonly groups: number },
  { lanes }: Schedule,
  { groupFloats }: Target,
): { token: number; fixed: number } => {
  const sum = (of: (member: Member) => number): number => members.reduce((n, m) => n + of(m), 0);
  return {
    token: rows + sum((m) => rows * scaledOf(m).parts * scaledOf(m).groups),
    // The part, what is left of it, the largest scores of lanes, shifts and their shares.
    fixed: rows * (sum((m) => countOf(m, m.channels) + 4) + 4) + rows * lanes +
      sum((m) => rows * scaledOf(m).groups + Math.max(lanes, rows * scaledOf(m).groups)) +
      sumsOf(members, rows, lanes, groupFloats),
  };
};
