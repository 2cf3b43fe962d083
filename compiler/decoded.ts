/**
 * Products that the scores of a stream read channel by channel: what a token is before its query is met.
 *
 * ```text
 * Σ_d q[d] · cos[t, d] · (Σ_j c[t, j] · B[j, d])     the inner sum has no part of a query, and no map of its own
 *                                                    that a query could take: cos stands between
 * ```
 * Written out where it is read it would be summed anew for every channel, and its codes taken apart each time.
 * So it is made a few tokens at a time, all channels (kernels/stream/decoded.ts).
 * @module
 */
import { knownCount } from "../dsl/core/shape.ts";
import type { Term, TermOf } from "../dsl/core/term.ts";
import type { HeldAxes } from "./lower/row.ts";

/** A product of what a token stores and a map of its channels. */
export interface Decoded {
  readonly term: Term & TermOf<"contract">;
  readonly axes: HeldAxes & { readonly token: number };
  /** Which operand changes with the token. */
  readonly tokens: number;
  /** Labels that are summed, as that operand has them, and their sizes. */
  readonly gone: readonly string[];
  readonly sizes: readonly number[];
  /** Labels of the result that a group has all of, but for the channels: heads, say; and their sizes. */
  readonly heads: readonly string[];
  readonly headSizes: readonly number[];
  /** Those of them that the numbers of a token have as well. */
  readonly own: readonly string[];
  /** Channels side by side. */
  readonly channels: number;
}

/** The product as one of rows of numbers with a map, or nothing if it is none whose channels come in fours. */
export const decodedOf = (
  term: Term,
  axes: HeldAxes & { readonly token: number },
): Decoded | undefined => {
  if (term.tag !== "contract") return undefined;
  const { args, out } = term.labels;
  const last = out.length - 1;
  const [token, channel] = [out[axes.token], out[last]];
  const channels = term.shape[last];
  if (axes.held[axes.held.length - 1] !== last) return undefined;
  if (typeof channels !== "number" || channels % 4 !== 0) return undefined;
  const held = axes.held.slice(0, -1);
  const heads = held.map((a) => out[a]);
  const headSizes = held.map((a) => term.shape[a]);
  const tokens = args.findIndex((labels) => labels.includes(token));
  const [own, map] = [args[tokens], args[1 - tokens]];
  if (map.includes(token) || own.includes(channel)) return undefined;
  const gone = own.filter((l) => !out.includes(l));
  const sizes = gone.map((l) => term.args[tokens].shape[own.indexOf(l)]);
  const both = map.filter((l) => !out.includes(l));
  if (both.length !== gone.length || gone.some((l) => !both.includes(l))) return undefined;
  if (own[own.length - 1] !== gone[gone.length - 1]) return undefined;
  if (![...sizes, ...headSizes].every((n) => typeof n === "number")) return undefined;
  return {
    term: term as Decoded["term"],
    axes,
    tokens,
    gone,
    sizes: sizes as number[],
    heads,
    headSizes: headSizes as number[],
    own: heads.filter((l) => own.includes(l)),
    channels,
  };
};

/** Sizes of the heads that the numbers of a token have. */
export const ownSizes = ({ heads, headSizes, own }: Decoded): readonly number[] =>
  headSizes.filter((_, i) => own.includes(heads[i]));

/** Numbers of a token, and what they become. */
export const codedCount = (of: Decoded): number => knownCount([...ownSizes(of), ...of.sizes]);
export const madeCount = ({ headSizes, channels }: Decoded): number =>
  knownCount(headSizes) * channels;

/** Tokens that are decoded together where no block of queries shares them. */
export const AT_ONCE = 4;

/** Floats of group memory that products take of each token: its numbers and what they become. */
export const decodedFloats = (all: readonly Decoded[]): number =>
  all.reduce((n, of) => n + codedCount(of) + madeCount(of), 0);
