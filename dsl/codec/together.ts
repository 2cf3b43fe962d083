/**
 * Codes of one width side by side in one part, so that no row of them leaves the rest of a word empty.
 *
 * ```text
 * before: codes of 16, 8 and 4 channels at 2 bits, a word each      after: 28 codes, two words
 * ```
 *
 * Parts whose shapes differ in nothing but their last axis are one, in the order of their names in the
 * codec; what reads one of them reads a range of it.
 * @module
 */
import { input } from "../core/build.ts";
import { isPacked } from "../core/dtype.ts";
import { concat, slice } from "../core/pieces.ts";
import type { Shape, Term } from "../core/term.ts";
import { type Codec, ofAllTokens, type Parts } from "./codec.ts";

/** Names of parts that lie in one. */
const joinedIn = (parts: Parts): readonly (readonly string[])[] => {
  const groups = new Map<string, string[]>();
  for (const [name, { dtype, shape }] of Object.entries(parts)) {
    if (!isPacked(dtype) || typeof shape[shape.length - 1] !== "number") continue;
    const key = JSON.stringify([dtype, shape.slice(0, -1)]);
    groups.set(key, [...groups.get(key) ?? [], name]);
  }
  return [...groups.values()].filter((names) => names.length > 1);
};

const nameOf = (i: number): string => `together${i}`;

const joined = (parts: Parts): Parts => {
  const groups = joinedIn(parts);
  return {
    ...Object.fromEntries(Object.entries(parts).filter(([name]) => !groups.flat().includes(name))),
    ...Object.fromEntries(groups.map((names, i) => {
      const terms = names.map((name) => parts[name]);
      return [nameOf(i), concat(terms, terms[0].shape.length - 1)];
    })),
  };
};

/** The parts as they were, of those that the codec makes (`like`, whose values do not matter). */
const apart = (parts: Parts, like: Parts): Parts => ({
  ...parts,
  ...Object.fromEntries(
    joinedIn(like).flatMap((names, i) => {
      let at = 0;
      return names.map((name): [string, Term] => {
        const axis = like[name].shape.length - 1;
        const start = at;
        at += like[name].shape[axis] as number;
        return [name, slice(parts[nameOf(i)], axis, start, at)];
      });
    }),
  ),
});

/**
 * Codes of one width side by side in one part, so that no row of them leaves the rest of a 32-bit word empty.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, codebook, lloydMax, split, together } from "kvfold";
 * const two = codebook({ levels: lloydMax(2), per: "token", scale: "none" });
 * const ranges = split([8, 8, 16], [two, two, two]);
 * ok(bitsOf(ranges, ["heads", "tokens", 32]) === 3 * 32 / 32);
 * ok(bitsOf(together(ranges), ["heads", "tokens", 32]) === 2);
 * ```
 */
export const together = (codec: Codec): Codec => {
  const { extend } = ofAllTokens("together", codec);
  const like = (shape: Shape, batch?: number): Parts =>
    codec.encode(input("like", shape, "f32"), batch);
  return {
    name: `together(${codec.name})`,
    encode: (x, batch) => joined(codec.encode(x, batch)),
    decode: (parts, shape, batch) => codec.decode(apart(parts, like(shape, batch)), shape, batch),
    ...extend === undefined ? {} : { extend: (x, fixed, batch) => joined(extend(x, fixed, batch)) },
  };
};
