/**
 * Heads by codecs of their own: more bits where an error costs more.
 *
 * ```text
 * byHead((head) => [four, two, two, four][head])      heads 0 and 3 in 4 bits, heads 1 and 2 in 2
 * ```
 *
 * Heads of one codec (the same object) are stored together, in the order of the heads. Which heads those are is
 * known when the program is written, as which layer has which codec is: nothing of it is stored.
 *
 * Streaming: as its codecs do, each for its heads.
 * @module
 */
import { cast } from "../core/build.ts";
import { ShapeError, shapeText } from "../core/errors.ts";
import { concat, slice } from "../core/pieces.ts";
import type { Shape, Term } from "../core/term.ts";
import { type Codec, ofAllTokens } from "./codec.ts";
import { inside, type Parts, prefixed } from "./parts.ts";

/** Heads that one codec stores. */
interface Group {
  readonly codec: Codec;
  readonly heads: readonly number[];
}

const named = (i: number): string => `heads${i}`;

/**
 * Heads of the first axis, each by the codec that it is given; those of one codec (the same object) are stored
 * together, as parts `heads0.…`, `heads1.…`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, byHead, rtnGrouped } from "kvfold";
 * const [four, two] = [rtnGrouped(4), rtnGrouped(2)];
 * const codec = byHead((head) => head === 0 ? four : two);
 * ok(bitsOf(codec, [4, "tokens", 64]) === (4.5 + 3 * 2.5) / 4);
 * ```
 */
export const byHead = (of: (head: number) => Codec): Codec => {
  const name = `byHead(${of(0).name}, …)`;
  const groupsOf = (shape: Shape): readonly Group[] => {
    const [heads] = shape;
    if (shape.length < 2 || typeof heads !== "number") {
      throw new ShapeError(name, `heads of ${shapeText(shape)} are not known`);
    }
    const codecs = Array.from({ length: heads }, (_, head) => ofAllTokens(name, of(head)));
    return [...new Set(codecs)].map((codec): Group => ({
      codec,
      heads: codecs.flatMap((c, head) => c === codec ? [head] : []),
    }));
  };
  /** Places of heads that follow one another. */
  const runsOf = (heads: readonly number[]): readonly (readonly [from: number, to: number])[] => {
    const starts = heads.flatMap((head, i) => head === heads[i - 1] + 1 ? [] : [i]);
    return starts.map((from, i) => [from, starts[i + 1] ?? heads.length]);
  };
  const one = (x: Term, at: number): Term => slice(x, 0, at, at + 1);
  return {
    name,
    encode: (x, batch = 0) =>
      Object.assign(
        {},
        ...groupsOf(x.shape).map(({ codec, heads }, i): Parts =>
          prefixed(named(i), codec.encode(concat(heads.map((h) => one(x, h)), 0), batch))
        ),
      ),
    decode: (parts, shape, batch = 0) => {
      const groups = groupsOf(shape);
      const own = groups.flatMap(({ codec, heads }, i) => {
        const inner = [heads.length, ...shape.slice(1)];
        const back = cast(codec.decode(inside(parts, named(i)), inner, batch), "f32");
        return runsOf(heads).map(([from, to]) => ({
          head: heads[from],
          x: slice(back, 0, from, to),
        }));
      });
      return concat(own.sort((a, b) => a.head - b.head).map(({ x }) => x), 0);
    },
  };
};
