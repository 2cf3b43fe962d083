/**
 * Entries of a table by a place that is known only when a kernel runs.
 *
 * ```text
 * a choice a bit of the place:  [a b c d]  →  bit 0: (a | b) (c | d)  →  bit 1
 * with vectors of bytes:        four planes of the entries' bytes; each is looked up, then they are zipped
 * ```
 * @module
 */
import {
  bin,
  bytes,
  type Expr,
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

/** Byte `plane` of each entry, as 16 bytes. */
const planeOf = (values: readonly number[], plane: number): Expr => {
  const entries = new Uint8Array(
    Float32Array.from({ length: LOOKED }, (_, i) => values[Math.min(i, values.length - 1)]).buffer,
  );
  const words = new Uint32Array(
    Uint8Array.from({ length: LOOKED }, (_, i) => entries[4 * i + plane]).buffer,
  );
  return vec4([...words].map(word));
};

/** A `lookup` for a target with vectors of bytes: four look-ups give sixteen entries. */
export const entriesByBytes = (values: readonly number[], block: Expr, k: number): Expr => {
  const [a, b, c, d] = [0, 1, 2, 3].map((plane) => swizzle(planeOf(values, plane), block));
  const half = k >> 1;
  return un("asF32", zip16(zip8(a, b, half), zip8(c, d, half), k & 1));
};

/** A `lookup` for any target. */
export const entriesByChoice = (values: readonly number[], block: Expr, k: number): Expr =>
  entryOf(values, bytes(block, k));
