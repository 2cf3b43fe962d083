/**
 * Storing a row or a whole tensor: f32 four at a time, halves two a word, codes in whole words.
 * One lane writes whole words; there are no sub-word stores.
 * @module
 */
import { DTYPES, isPacked, type Packed } from "../dsl/core/dtype.ts";
import { blocksOf } from "../dsl/core/layout.ts";
import type { Term } from "../dsl/core/term.ts";
import { type Arr, bin, type Expr, int, packBytes, select, un, word } from "../compiler/ir/expr.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { halfBits } from "../compiler/lower/numeric.ts";

/** A block of codes as words, four bytes times planes at once. */
const wideBlock = (
  low: Lower,
  root: Term,
  dtype: Packed,
  lead: readonly Expr[],
  block: Expr,
  codes: number,
): Expr | undefined => {
  const { bits } = DTYPES[dtype];
  const last = lead.length;
  const quads = (plane: number): Expr[] | undefined => {
    const out = [0, 1, 2, 3].map((k) =>
      low.tryWide(root, [
        ...lead,
        bin("add", bin("mul", block, int(codes)), int(16 * plane + 4 * k)),
      ], last)
    );
    return out.some((e) => e === undefined) ? undefined : out as Expr[];
  };
  let words: Expr | undefined;
  for (let plane = 0; plane < 8 / bits; plane++) {
    const values = quads(plane);
    if (values === undefined) return undefined;
    const shifted = bin("shl", packBytes(values), word(plane * bits));
    words = words === undefined ? shifted : bin("or", words, shifted);
  }
  return words;
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
  if (!isPacked(root.dtype)) throw new Error(`${root.dtype} has no blocks`);
  const n = (root.shape[root.shape.length - 1] ?? 1) as number;
  const { bits } = DTYPES[root.dtype];
  const { width, per, codes, words } = blocksOf(root.dtype, n);
  const base = bin("add", bin("mul", row, int(words)), bin("mul", block, int(width / 4)));
  const whole = width === 16 ? wideBlock(low, root, root.dtype, lead, block, codes) : undefined;
  if (whole !== undefined) {
    low.store(arr, base, whole);
    return;
  }
  for (let w = 0; w < width / 4; w++) {
    let value: Expr = word(0);
    for (let plane = 0; plane < per; plane++) {
      for (let byte = 0; byte < 4; byte++) {
        const at = bin("add", bin("mul", block, int(codes)), int(plane * width + 4 * w + byte));
        // Codes beyond the end of a row are 0; the index stays inside.
        const code = un(
          "toU32",
          low.at(root, root.shape.length === 0 ? [] : [...lead, bin("min", at, int(n - 1))]),
        );
        const kept = n % codes === 0 ? code : select(bin("lt", at, int(n)), code, word(0));
        value = bin("or", value, bin("shl", kept, word(8 * byte + plane * bits)));
      }
    }
    low.store(arr, bin("add", base, int(w)), value);
  }
};

/** Two values as the halves of a word. */
export const halfPair = (low: Expr, high: Expr): Expr =>
  bin("or", halfBits(low), bin("shl", halfBits(high), word(16)));

/** A value as the array of its root holds it: indices as integers, numbers as they are. */
export const storedValue = (root: Term, value: Expr): Expr =>
  root.dtype === "u32" ? un("toU32", value) : value;
