/**
 * Caches whose tokens lie whole, all heads of one side by side. A group takes one head, which is a few bytes of
 * every token: walked alone they come from far away one by one, since no processor reads ahead over such gaps.
 * So groups of one part follow each other, and the first reads each chunk's tokens as they lie, front to back;
 * it and the others then find them close.
 *
 * ```text
 * for each chunk, in the group of the first head:  for each line of memory: touch it
 * ```
 * @module
 */
import { codesIn, DTYPES } from "../../dsl/core/dtype.ts";
import type { Term } from "../../dsl/core/term.ts";
import { bin, type Expr, int, load, un, word } from "../../compiler/ir/expr.ts";
import { type Builder, type Context, leavesOf } from "../../compiler/kernel.ts";
import { operandsOf, type Piece } from "./pieces.ts";
import type { Frame, Stream } from "./shape.ts";

/** Words of a line of a processor's cache. */
const LINE = 16;

/** Lines that are touched side by side, as many as a token is made of. */
const LINES = [4, 2, 1];

/** Words of a token, where a leaf holds one after the other. */
const wordsOf = ({ shape, dtype }: Term): number => {
  const known = shape.slice(1).filter((d) => typeof d === "number");
  return known.reduce((n, d) => n * d, 1) * DTYPES[dtype].bits / 32;
};

/** Packed codes of whole tokens, of which a group reads a share: several lines of memory each. */
const wholeTokens = ({ roles }: Stream, leaves: readonly Term[]): Term[] => {
  const heads = roles.outer.map(roles.dim);
  const shared = heads.some((d) => typeof d === "number" && d > 1);
  return leaves.filter((t) =>
    shared && t.tag === "input" && codesIn(t.dtype) !== undefined &&
    t.shape[0] === roles.dim(roles.token) && typeof t.shape[0] === "string" &&
    t.shape.slice(1).every((d) => typeof d === "number") && wordsOf(t) % LINE === 0 &&
    wordsOf(t) > LINE
  );
};

/** What a piece of the tokens holds whole. */
export const wholeIn = (piece: Piece, { materialized, target }: Context): Term[] =>
  target.serial ? wholeTokens(piece.stream, leavesOf(operandsOf([piece]), materialized)) : [];

/** Touches the tokens of a chunk in the first of the groups that share them. */
export const touch = (b: Builder, frame: Frame, leaves: readonly Term[], flat: Expr): void => {
  if (leaves.length === 0) return;
  const { low } = b;
  // What is read is put somewhere, or no engine would read it.
  const seen = b.local("seen", 4, "u32");
  low.when(bin("eq", flat, int(0)), () => {
    const all = low.mutable("seen", un("splat", word(0)));
    for (const leaf of leaves) {
      const arr = b.arrayOf(leaf)!;
      const words = wordsOf(leaf);
      const step = LINE * LINES.find((n) => words % (n * LINE) === 0)!;
      const from = bin("mul", frame.first, int(words));
      const to = bin("add", from, bin("mul", frame.tokens, int(words)));
      low.loop("line", from, to, step, (at) => {
        for (let k = 0; k < step; k += LINE) {
          all.set(bin("or", all.get(), load(arr, bin("add", at, int(k)), true)));
        }
      });
    }
    low.store(seen, int(0), all.get());
  });
};
