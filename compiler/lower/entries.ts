/**
 * Entries of a table by a place that is known only when a kernel runs.
 *
 * ```text
 * a choice a bit of the place:  [a b c d]  →  bit 0: (a | b) (c | d)  →  bit 1
 * with vectors of bytes:        four planes of the entries' bytes; each is looked up, then they are zipped
 * ```
 * @module
 */
import { rint } from "../../dsl/core/dtype.ts";
import type { Term } from "../../dsl/core/term.ts";
import {
  asI16,
  bin,
  bytes,
  type Expr,
  int,
  lanesOf,
  LOOKED,
  num,
  select,
  swizzle,
  un,
  vec4,
  word,
  zip16,
  zip8,
} from "../ir/expr.ts";
import { linear } from "./memory.ts";

/** One or four entries by places that are whole numbers; beyond the end the last entry. */
export const entryOf = (values: readonly number[], place: Expr): Expr => {
  const four = lanesOf(place.type);
  const spread = (e: Expr): Expr => four ? un("splat", e) : e;
  const at = un("toU32", place);
  let level = values.map((x) => spread(num(x)));
  for (let bit = 0; level.length > 1; bit++) {
    const clear = bin("eq", bin("and", at, spread(word(2 ** bit))), spread(word(0)));
    level = Array.from({ length: Math.ceil(level.length / 2) }, (_, i) => {
      const [even, odd] = [level[2 * i], level[2 * i + 1]];
      return odd === undefined ? even : select(clear, even, odd);
    });
  }
  return level[0];
};

/**
 * What codes choose from at a place of the rows of a table: its numbers, or a column of a matrix made of them.
 *
 * Before: `reshape [a b c d] : [2, 2]` at place 1 of its rows; after: `[b d]`.
 */
export const columnOf = (table: Term, place: readonly Expr[]): readonly number[] | undefined => {
  if (table.tag === "table") return place.length === 0 ? table.values : undefined;
  if (table.tag !== "reshape" || table.args[0].tag !== "table") return undefined;
  const [count, ...dims] = table.shape;
  const { values } = table.args[0];
  const width = values.length / (count as number);
  const at = linear(dims.map((d) => int(d as number)), place);
  return at.op === "const" ? values.filter((_, i) => i % width === at.value) : undefined;
};

/** Byte `plane` of each entry, as 16 bytes. */
const planeOf = (entries: Float32Array | Int16Array, plane: number): Expr => {
  const all = new Uint8Array(entries.buffer);
  const each = entries.BYTES_PER_ELEMENT;
  const bytes = Uint8Array.from({ length: LOOKED }, (_, i) => all[each * i + plane]);
  return vec4([...new Uint32Array(bytes.buffer)].map(word));
};

/** Sixteen entries, the last one again beyond the end. */
const padded = (values: readonly number[]): number[] =>
  Array.from({ length: LOOKED }, (_, i) => values[Math.min(i, values.length - 1)]);

/** The even or odd ones of sixteen entries, as the nearest 16-bit integers: two look-ups for all. */
export const entriesInWords = (
  values: readonly number[],
  block: Expr,
): (odd: number) => Expr => {
  const entries = Int16Array.from(padded(values), rint);
  const [low, high] = [0, 1].map((plane) => asI16(swizzle(planeOf(entries, plane), block)));
  const kept = (x: Expr, mask: number): Expr => bin("and", x, asI16(un("splat", word(mask))));
  return (odd) =>
    odd === 0
      ? bin("or", kept(low, 0x00ff00ff), bin("shl", high, word(8)))
      : bin("or", bin("shr", low, word(8)), kept(high, 0xff00ff00));
};

/** A `lookup` for a target with vectors of bytes: four look-ups give sixteen entries. */
export const entriesByBytes = (values: readonly number[], block: Expr, k: number): Expr => {
  const entries = Float32Array.from(padded(values));
  const [a, b, c, d] = [0, 1, 2, 3].map((plane) => swizzle(planeOf(entries, plane), block));
  const half = k >> 1;
  return un("asF32", zip16(zip8(a, b, half), zip8(c, d, half), k & 1));
};

/** A `lookup` for any target. */
export const entriesByChoice = (values: readonly number[], block: Expr, k: number): Expr =>
  entryOf(values, bytes(block, k));
