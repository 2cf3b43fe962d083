/**
 * What would be made again and again: by every group of rows, for every block of codes, by each that looks at
 * it. It is stored, or staged with what a row holds.
 *
 * Before: `codes / scale` divides by `f16(max|x|)` of its row; after: 1 / f16(max|x|) is made once a row.
 * @module
 */
import { isFloat, isPacked } from "../dsl/core/dtype.ts";
import { isDynamic, staticCount } from "../dsl/core/shape.ts";
import { argsOf, type Term, type TermOf } from "../dsl/core/term.ts";
import { computedBy, leavesOf } from "./kernel.ts";
import { isHadamard } from "./rules/butterfly.ts";

/** A stage of a butterfly is a sum or a difference: it is made where the next one needs it. */
export const isHeavy = (t: Term): boolean =>
  (t.tag === "contract" && !(t.args[1].shape[0] === 2 && isHadamard(t.args[1]))) ||
  t.tag === "fold" || t.tag === "routine";

/** A fold over tokens that has a kernel of its own. */
export const isStream = (t: Term): t is Term & TermOf<"fold"> =>
  t.tag === "fold" && t.monoid === "softmax";

/** Operands that a tile would recompute too often: anything but a view of memory. */
export const costly = (arg: Term, stored: ReadonlySet<Term>): boolean =>
  !stored.has(arg) &&
  computedBy([arg], stored).some((t) => t.tag === "map" || t.tag === "cast" || isHeavy(t));

/**
 * What has a known size and is made of what this program has stored, where every row would make it again: a small
 * factor, a mean of channels in f16.
 */
export const madeAgain = (root: Term, stored: ReadonlySet<Term>): readonly Term[] => {
  const inside = computedBy([root], stored);
  const streams = inside.filter(isStream);
  const rows = streams.length === 0 ? inside : computedBy([root], new Set([...stored, ...streams]));
  // What is one number for a row is made once for it.
  const along = (t: Term): boolean => t.tag !== "broadcast" || t.axes.includes(t.shape.length - 1);
  const operands = rows.flatMap((t) =>
    isDynamic(t.shape) && !isStream(t) && along(t) ? argsOf(t) : []
  );
  return [...new Set(operands)].filter((a) =>
    (staticCount(a.shape) ?? 1) > 1 && costly(a, stored) &&
    leavesOf([a], stored).some((leaf) => stored.has(leaf))
  );
};

/**
 * What folds of the row make and what then repeats (scales, minima, reciprocals) is staged with them:
 * computed once a row, not once a block of codes.
 */
export const withRepeated = (
  root: Term,
  staged: readonly Term[],
  stored: ReadonlySet<Term>,
): Term[] => {
  const streams = new Set(staged.filter(isStream));
  const inside = computedBy(
    isStream(root) && streams.has(root) ? [] : [root],
    new Set([...stored, ...streams]),
  );
  const folds = new Set<Term>(staged.filter((t) => t.tag === "fold"));
  const repeated = new Set(inside.flatMap((t) => t.tag === "broadcast" ? t.args : []));
  // What a product reads again and again is made once.
  const read = new Set(
    staged.flatMap((t) => t.tag === "contract" && !isHadamard(t.args[1]) ? t.args : []),
  );
  // Codes that a fold looks at are made once, for it and for what stores them.
  const seen = new Set(computedBy([...folds].flatMap(argsOf), stored));
  const made = inside.filter((t) =>
    t.tag === "cast" && isPacked(t.dtype) && seen.has(t) ||
    t.tag === "map" && read.has(t) && isDynamic(t.shape) ||
    ((t.tag === "cast" && isFloat(t.dtype)) || (t.tag === "map" && repeated.has(t))) &&
      computedBy([t], stored).some((x) => folds.has(x))
  );
  return [...new Set([...staged, ...made])].sort((a, b) => a.id - b.id);
};
