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
import { type Term, type TermOf } from "../dsl/core/term.ts";
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
  if (axes.held.join() !== `${last}` || typeof channels !== "number" || channels % 4 !== 0) {
    return undefined;
  }
  const tokens = args.findIndex((labels) => labels.includes(token));
  const [own, map] = [args[tokens], args[1 - tokens]];
  if (map.includes(token) || own.includes(channel)) return undefined;
  const gone = own.filter((l) => !out.includes(l));
  const sizes = gone.map((l) => term.args[tokens].shape[own.indexOf(l)]);
  const both = map.filter((l) => !out.includes(l));
  if (both.length !== gone.length || gone.some((l) => !both.includes(l))) return undefined;
  if (own[own.length - 1] !== gone[gone.length - 1]) return undefined;
  return sizes.every((n) => typeof n === "number")
    ? { term: term as Decoded["term"], axes, tokens, gone, sizes: sizes as number[], channels }
    : undefined;
};

/** Tokens that are decoded together where no block of queries shares them. */
export const AT_ONCE = 4;

/** Floats of group memory that products take of each token: its numbers and what they become. */
export const decodedFloats = (all: readonly Decoded[]): number =>
  all.reduce((n, { sizes, channels }) => n + sizes.reduce((a, b) => a * b, 1) + channels, 0);
