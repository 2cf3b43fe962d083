/**
 * Entries along one axis of tensors in memory, as words to copy.
 * @module
 */
import { codesIn, type DType } from "../../dsl/core/dtype.ts";
import { blocksOf, storedWords } from "../../dsl/core/layout.ts";
import type { Copy } from "./device.ts";
import type { Tensor } from "./tensor.ts";

/** Words of `count` entries along an axis; they begin and end with a word. */
const wordsOf = (dtype: DType, shape: readonly number[], axis: number, count: number): number => {
  const rest = shape.slice(axis + 1);
  const each = rest.reduce((n, d) => n * d, 1);
  if (dtype === "f16") return count * each / 2;
  const codes = codesIn(dtype);
  if (codes === undefined) return count * each;
  const row = rest[rest.length - 1];
  return count * each / row * blocksOf(codes, row).words;
};

/** Entries `at …` of one tensor as entries `into …` of another, under the index `lead` of the axes before. */
export const entriesUnder = (
  lead: number,
  from: Tensor,
  at: number,
  to: Tensor,
  into: number,
  axis: number,
  count: number,
): Copy => {
  const words = (t: Tensor, n: number): number => wordsOf(t.dtype, t.room, axis, n);
  return {
    from: from.memory,
    at: lead * words(from, from.room[axis]) + words(from, at),
    to: to.memory,
    into: lead * words(to, to.room[axis]) + words(to, into),
    words: words(from, count),
  };
};

/** How many indices the axes before one have. */
export const leadsOf = ({ room }: Tensor, axis: number): number =>
  room.slice(0, axis).reduce((n, d) => n * d, 1);

/** Entries `at …` of one tensor as entries `into …` of another, under every index of the axes before. */
export const entriesTo = (
  from: Tensor,
  at: number,
  to: Tensor,
  into: number,
  axis: number,
  count: number,
): Copy[] =>
  count === 0 ? [] : Array.from(
    { length: leadsOf(from, axis) },
    (_, lead) => entriesUnder(lead, from, at, to, into, axis, count),
  );

/** All of a tensor. */
export const wholeTo = (from: Tensor, to: Tensor): Copy[] => [
  {
    from: from.memory,
    at: 0,
    to: to.memory,
    into: 0,
    words: storedWords(from.dtype, from.shape, {}),
  },
];
