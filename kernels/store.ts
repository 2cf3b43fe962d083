/**
 * Storing a row or a whole tensor: f32 four at a time, halves two a word, codes in whole words.
 * One lane writes whole words; there are no sub-word stores.
 * @module
 */
import { codesIn, isFloat8 } from "../dsl/core/dtype.ts";
import { type Blocks, blocksOf, inVectors, runOf, VECTOR } from "../dsl/core/layout.ts";
import type { Term } from "../dsl/core/term.ts";
import {
  type Arr,
  bin,
  type Expr,
  int,
  lane,
  packBytes,
  select,
  un,
  word,
} from "../compiler/ir/expr.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { linear, moveBits } from "../compiler/lower/memory.ts";
import { float8Byte, halfBits } from "../compiler/lower/numeric.ts";
import { rowsFirst } from "../compiler/lower/row.ts";

/** Codes as they are, floats of 8 bits as their bytes. */
const coded = <E extends Expr | undefined>({ dtype }: Term, value: E): E =>
  value !== undefined && isFloat8(dtype) ? float8Byte(dtype, value) as E : value;

/** The codes of a block from `first` on, sixteen at a time as bytes, or nothing. */
const vectorsOf = (
  low: Lower,
  root: Term,
  lead: readonly Expr[],
  first: Expr,
  codes: number,
): Expr[] | undefined => {
  const four = (at: number): Expr | undefined =>
    coded(root, low.tryWide(root, [...lead, bin("add", first, int(at))], lead.length));
  const quads = Array.from({ length: codes / 4 }, (_, q) => four(4 * q));
  if (quads.some((e) => e === undefined)) return undefined;
  return Array.from(
    { length: codes / VECTOR },
    (_, v) => low.named("codes", packBytes(quads.slice(4 * v, 4 * v + 4) as Expr[])),
  );
};

/** Stores a block whose codes are at hand as vectors: each run of a plane is a vector or half of one. */
const storeVectors = (
  low: Lower,
  arr: Arr,
  base: Expr,
  { planes }: Blocks,
  vectors: readonly Expr[],
): void =>
  planes.forEach((plane) => {
    const { bits, low: place, start, width } = plane;
    const each = runOf(plane) / VECTOR;
    for (let run = 0; run * each < vectors.length; run++) {
      const words = vectors.slice(run * each, (run + 1) * each).map((codes, v) => {
        const to = v * bits * VECTOR / width;
        return planes.length === 1
          ? bin("shl", codes, word(to))
          : moveBits(codes, bits, int(place), to);
      }).reduce((a, b) => bin("or", a, b));
      const at = bin("add", base, int((start + run * width) / 4));
      if (width === VECTOR) {
        low.store(arr, at, words);
        continue;
      }
      // The upper half of the codes lies beside the lower, in the bits above.
      const both = low.named("both", words);
      for (const w of [0, 1]) {
        const upper = bin("shl", lane(both, w + 2), word(bits));
        low.store(arr, bin("add", at, int(w)), bin("or", lane(both, w), upper));
      }
    }
  });

/**
 * Where a row or an element lies in its root, of which the leading axes as they are made are given: `own` where
 * they are the root's, else among the root's axes, of which that of the rows was made first.
 */
export const placeOf = (
  low: Lower,
  root: Term,
  made: Term,
  lead: readonly Expr[],
  own: Expr,
): Expr => {
  if (root === made) return own;
  const order = rowsFirst(root.shape)!;
  const dims = low.dims(root.shape.slice(0, lead.length));
  return linear(dims, dims.map((_, a) => lead[order.indexOf(a)]));
};

/** Stores block `block` of the packed row at `lead`; `row` counts rows of the stored tensor. */
export const storeBlock = (
  low: Lower,
  arr: Arr,
  root: Term,
  lead: readonly Expr[],
  row: Expr,
  block: Expr,
): void => {
  const { dtype } = root;
  const held = codesIn(dtype);
  if (held === undefined) throw new Error(`${dtype} has no blocks`);
  const n = (root.shape[root.shape.length - 1] ?? 1) as number;
  const blocks = blocksOf(held, n);
  const { planes, codes, size, words } = blocks;
  const base = bin("add", bin("mul", row, int(words)), bin("mul", block, int(size)));
  const first = bin("mul", block, int(codes));
  const vectors = inVectors(blocks) ? vectorsOf(low, root, lead, first, codes) : undefined;
  if (vectors !== undefined) {
    storeVectors(low, arr, base, blocks, vectors);
    return;
  }
  const codeAt = (inside: number): Expr => {
    const at = bin("add", first, int(inside));
    // Codes beyond the end of a row are 0; the index stays inside.
    const code = un(
      "toU32",
      coded(
        root,
        low.at(root, root.shape.length === 0 ? [] : [...lead, bin("min", at, int(n - 1))]),
      ),
    );
    return n % codes === 0 ? code : select(bin("lt", at, int(n)), code, word(0));
  };
  for (const plane of planes) {
    const { bits, low: place, start, width } = plane;
    for (let w = 0; w < codes * bits / 32; w++) {
      const [run, from] = [Math.floor(4 * w / width), 4 * w % width];
      let value: Expr = word(0);
      for (let step = 0; step < 8 / bits; step++) {
        for (let byte = 0; byte < 4; byte++) {
          const code = codeAt(run * runOf(plane) + step * width + from + byte);
          const mine = planes.length === 1
            ? code
            : bin("and", bin("shr", code, word(place)), word(2 ** bits - 1));
          value = bin("or", value, bin("shl", mine, word(8 * byte + step * bits)));
        }
      }
      low.store(arr, bin("add", base, int(start / 4 + w)), value);
    }
  }
};

/** Two values as the halves of a word. */
export const halfPair = (low: Expr, high: Expr): Expr =>
  bin("or", halfBits(low), bin("shl", halfBits(high), word(16)));

/** A value as the array of its root holds it: indices as integers, numbers as they are. */
export const storedValue = (root: Term, value: Expr): Expr =>
  root.dtype === "u32" ? un("toU32", value) : value;
