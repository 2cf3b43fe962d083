/**
 * Bits where they take most off an error: an allotment by dynamic programming.
 *
 * ```text
 * best[i][w] = min over ways of part i:  left(way) + best[i − 1][w − words(way)]
 * gradesOf(variances, 3)      how many coordinates get 4, 3, 2 and 1 bits, of three words a token
 * ```
 *
 * Coordinates of falling variance get falling numbers of bits, so a way to spend words on them is four counts.
 * Rows of codes fill words of 32 bits: counts are those with which they do. What a coordinate leaves is its
 * variance times the error of the Lloyd–Max centroids of as many bits; other quantizers of it fall alike.
 * @module
 */
import { ValueError } from "../core/errors.ts";
import { lloydMaxError } from "./levels.ts";

/** How many coordinates get 4, 3, 2 and 1 bits, in this order. */
export type Grades = readonly [four: number, three: number, two: number, one: number];

/** A way to spend words on a part, and what it leaves of it. */
export interface Way {
  /** Words of 32 bits, a whole number of them. */
  readonly words: number;
  /** Squared error, in the units of the variances. */
  readonly left: number;
}

/** The bits of {@link Grades}. */
export const GRADES = [4, 3, 2, 1] as const;

/** Bits of a word. */
const WORD = 32;

/** Codes of so many bits fill words in these numbers. */
const FILLS = GRADES.map((bits) => {
  let count = 1;
  while (count * bits % WORD !== 0) count++;
  return count;
});

/** The ranges of coordinates that get bits, most first. */
export const rangesOf = (
  grades: Grades,
): readonly { readonly size: number; readonly bits: typeof GRADES[number] }[] =>
  grades.map((size, i) => ({ size, bits: GRADES[i] })).filter(({ size }) => size > 0);

/** One way a part, of least Σ left for at most so many words in all. */
export const allot = <W extends Way>(
  parts: readonly (readonly W[])[],
  words: number,
): readonly W[] => {
  interface Best {
    readonly left: number;
    readonly ways: readonly W[];
  }
  let best: (Best | undefined)[] = [{ left: 0, ways: [] }];
  for (const ways of parts) {
    const next: (Best | undefined)[] = [];
    best.forEach((old, used) => {
      if (old === undefined) return;
      for (const way of ways) {
        const [left, at] = [old.left + way.left, used + way.words];
        if (at <= words && !(next[at] !== undefined && next[at]!.left <= left)) {
          next[at] = { left, ways: [...old.ways, way] };
        }
      }
    });
    best = next;
  }
  const found = best.reduce(
    (a, b) => b !== undefined && (a === undefined || b.left < a.left) ? b : a,
    undefined,
  );
  if (found !== undefined) return found.ways;
  throw new ValueError("allot", `${words} words do not suffice for ${parts.length} parts`);
};

/** Every way to spend words on coordinates of falling variance; none that gives no bits at all. */
export const waysOf = (
  variances: readonly number[],
): readonly (Way & { readonly grades: Grades })[] => {
  const d = variances.length;
  const ways: (Way & { grades: Grades })[] = [];
  const visit = (grades: readonly number[], at: number): void => {
    const i = grades.length;
    if (i < GRADES.length) {
      for (let size = 0; at + size <= d; size += FILLS[i]) visit([...grades, size], at + size);
      return;
    }
    if (at === 0) return;
    const bits = grades.flatMap((size, g) => Array<1 | 2 | 3 | 4>(size).fill(GRADES[g]));
    const left = variances.reduce((sum, v, k) => sum + v * lloydMaxError(bits[k] ?? 0), 0);
    const words = bits.reduce<number>((n, b) => n + b, 0) / WORD;
    ways.push({ grades: grades as unknown as Grades, words, left });
  };
  visit([], 0);
  return ways;
};

/**
 * The counts that leave least of coordinates of falling variance, at so many words of codes a token.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { gradesOf } from "kvfold";
 * const falling = Array.from({ length: 64 }, (_, i) => 1 / (i + 1));
 * ok(gradesOf(falling, 3).join() === "8,0,16,32");
 * ```
 */
export const gradesOf = (variances: readonly number[], words: number): Grades =>
  allot([waysOf(variances)], words)[0].grades;
