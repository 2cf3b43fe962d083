/**
 * A window in full precision around what a codec stores: the first tokens (attention sinks) and the newest
 * ones in f16, all between them by the codec, a whole group of tokens at a time.
 *
 * ```text
 * tokens   0 … sinks | whole groups, at least `tail` before the end | the rest: tail to tail + group − 1
 * parts    sinks f16 | packed.…                                     | tail f16
 * ```
 *
 * Decoded it is the concatenation of the three; attention to it is one fold over all of them. A token
 * passes f16 on its way to the codec, as it does when it leaves the tail of a cache that grows, so a
 * cache of some tokens is the same however they arrived. What has no tokens is not stored: a part that
 * is empty for a known number of tokens is left out.
 *
 * Streaming: what the codec stores of a group is made when the group is full and `tail` newer tokens are
 * there.
 * @module
 */
import { cast } from "../core/build.ts";
import { concat, range } from "../core/pieces.ts";
import { type Place, rangeDim } from "../core/dims.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import type { Shape, Term } from "../core/term.ts";
import { type Codec, ofAllTokens } from "./codec.ts";
import { inside, type Parts, prefixed } from "./parts.ts";

/** What is held in full precision. */
export interface Window {
  /** Newest tokens, at least this many; none unless given. */
  readonly tail?: number;
  /** First tokens; none unless given. */
  readonly sinks?: number;
  /** Tokens that the codec takes at once; 1 unless given. */
  readonly group?: number;
}

/** A window, for whoever moves tokens through it. */
export interface Windowed extends Codec {
  /** What is held in full precision. */
  readonly held: Required<Window>;
  /** The codec of what is not. */
  readonly behind: Codec;
}

/** Is the codec a window? */
export const isWindowed = (codec: Codec): codec is Windowed => "held" in codec;

/** Name of the parts that the codec stores. */
export const PACKED = "packed";

/** The runs of the tokens, first to last, by the name of their part. */
type Runs = readonly (readonly [part: string, from: Place, to?: Place])[];

/**
 * The first `sinks` and at least the newest `tail` tokens in f16, all between them by the codec, whole groups of
 * `group` tokens at a time. Parts: `sinks`, `packed.…` of the codec, `tail`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, quantize, window } from "kvfold";
 * const packed = quantize({ bits: 4, per: "token", range: "symmetric" });
 * const codec = window({ tail: 32, sinks: 4 }, packed);
 * ok(bitsOf(codec, ["heads", "tokens", 64]) === 4.25); // in the limit
 * ok(bitsOf(codec, [2, 72, 64]) === (36 * 16 + 36 * 4.25) / 72);
 * ```
 */
export const window = (
  { tail = 0, sinks = 0, group = 1 }: Window,
  codec: Codec,
): Windowed => {
  const name = `window(tail ${tail}, sinks ${sinks}${
    group === 1 ? "" : `, groups of ${group}`
  }, ${codec.name})`;
  if (![tail, sinks, group - 1].every((n) => Number.isInteger(n) && n >= 0)) {
    throw new ValueError(name, "tail and sinks are counts, a group has at least one token");
  }
  ofAllTokens(name, codec);
  const newest: Place = { start: sinks, tail, group };
  const first: Runs = sinks > 0 ? [["sinks", { start: 0 }, { start: sinks }]] : [];
  const last: Runs = tail > 0 || group > 1 ? [["tail", newest]] : [];
  const runs: Runs = [
    ...first,
    last.length > 0 ? [PACKED, { start: sinks }, newest] : [PACKED, { start: sinks }],
    ...last,
  ];
  const axisOf = (shape: Shape): number => {
    if (shape.length >= 2) return shape.length - 2;
    throw new ShapeError(name, `needs tokens and channels, got ${shapeText(shape)}`);
  };
  return {
    name,
    held: { tail, sinks, group },
    behind: codec,
    encode: (x, batch = 0) => {
      const halves = cast(x, "f16");
      return Object.assign(
        {},
        ...runs.map(([part, from, to]): Parts => {
          const tokens = range(halves, axisOf(x.shape), from, to);
          if (tokens === undefined) return {};
          return part === PACKED
            ? prefixed(part, codec.encode(cast(tokens, "f32"), batch))
            : { [part]: tokens };
        }),
      );
    },
    decode: (parts, shape, batch = 0) => {
      const axis = axisOf(shape);
      const decoded = runs.flatMap(([part, from, to]): Term[] => {
        const tokens = rangeDim(shape[axis], from, to);
        if (tokens === 0) return [];
        const own = shape.map((d, i) => i === axis ? tokens : d);
        const of = part === PACKED ? codec.decode(inside(parts, part), own, batch) : parts[part];
        return [cast(of, "f32")];
      });
      return concat(decoded, axis);
    },
  };
};
