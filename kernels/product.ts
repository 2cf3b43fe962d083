/**
 * A product that a row holds, on a device whose groups have one lane: tiles of 2 × 16 or 4 × 8 results in
 * registers, so that what is loaded is used more than once. Folds of all that a row has of it, as its largest
 * magnitude, take the results while they are in registers.
 *
 * ```text
 * for a row, for 2 × 16 results of it:  for k:  acc[i][j4] += splat(a[i, k]) · b[k, j4]
 *                                      held[…] = acc;  top = max(top, |acc|)
 * ```
 * @module
 */
import { isDynamic, staticCount } from "../dsl/core/shape.ts";
import type { Term, TermOf } from "../dsl/core/term.ts";
import { bin, type Expr, int, madd, num, un } from "../compiler/ir/expr.ts";
import { unravel } from "../compiler/kernel.ts";
import { acrossLanes, MONOIDS } from "./reduce.ts";
import { elementwise, isFlat, showRow, type Tile } from "./rows.ts";

/** Terms of a sum that are written out. */
const MOST = 64;

type Fold = Term & TermOf<"fold">;

/** Is it a fold of all that a row has of the product, one number a row, element by element? */
const foldsRow = (t: Term, product: Term, held: Tile["held"]): t is Fold => {
  const own = held.get(t)!;
  if (t.tag !== "fold" || MONOIDS[t.project] === undefined || own.size !== 1) return false;
  const [axis] = t.labels.args;
  const whole = held.get(product)!;
  // The same numbers in the same order, in axes of its own. A number that is the same everywhere may be folded
  // over others: a count of tokens, say.
  const rows = t.shape.length;
  return t.shape.join() === product.shape.slice(0, rows).join() &&
    staticCount(t.args[0].shape.slice(rows)) === whole.size &&
    isFlat(own) && isFlat(whole) &&
    t.labels.out.every((l, a) => axis[a] === l) &&
    elementwise(t.args[0], new Map([[product, un("splat", num(0))]])) !== undefined;
};

/**
 * Makes a held product readable for all rows, the first of `terms`, and the folds of it that follow; returns
 * how many terms that were, 0 where results do not come in such tiles.
 */
export const stageProduct = (tile: Tile, terms: readonly Term[]): number => {
  const { low, held, start, rows, rowDims } = tile;
  const [term] = terms;
  if (term.tag !== "contract") return 0;
  const { args: [ofA, ofB], out } = term.labels;
  const [a, b] = term.args;
  const { arr, axes, size } = held.get(term)!;
  const last = out[out.length - 1];
  const gone = ofA.filter((l) => !out.includes(l));
  const N = term.shape[out.length - 1];
  const held0 = axes.held.map((axis) => term.shape[axis] as number);
  if (
    gone.length !== 1 || ofB.join() !== [gone[0], last].join() || ofA.includes(last) ||
    isDynamic(b.shape) || typeof N !== "number" || N % 4 !== 0 ||
    axes.held[axes.held.length - 1] !== out.length - 1 || size / N % 2 !== 0
  ) return 0;
  const K = b.shape[0] as number;
  if (K > MOST || low.tryWide(b, [int(0), int(0)], 1) === undefined) return 0;
  // Eight sums; numbers of rows are loaded by an address that is checked, those of the other side are close.
  const fours = [4, 2, 1].find((n) => N % (4 * n) === 0)!;
  const MR = fours < 4 && size / N % 4 === 0 ? 4 : 2;
  const rest = terms.slice(1);
  const end = rest.findIndex((t) => !foldsRow(t, term, held));
  const folds = rest.slice(0, end < 0 ? rest.length : end) as Fold[];
  low.loop("r", int(0), rows, 1, (r) => {
    showRow(tile, r);
    low.sources.delete(term);
    const row = unravel(bin("add", start, r), rowDims);
    const tops = folds.map((t) => low.mutable("top", un("splat", num(MONOIDS[t.project].first))));
    const placeOf = (line: Expr): Expr[] => {
      const inside = unravel(line, held0.slice(0, -1).map(int));
      return term.shape.map((_, axis) =>
        axes.held.includes(axis) ? inside[axes.held.indexOf(axis)] : row[axes.rowOf[axis]!]
      );
    };
    const results = (m: Expr, j: Expr): void => {
      const lines = Array.from(
        { length: MR },
        (_, i) => bin("add", bin("mul", m, int(MR)), int(i)),
      );
      const places = lines.map(placeOf);
      const acc = lines.map(() =>
        Array.from({ length: fours }, () => low.mutable("acc", un("splat", num(0))))
      );
      for (let k = 0; k < K; k++) {
        const right = Array.from(
          { length: fours },
          (_, v) => low.named("b", low.wide(b, [int(k), bin("add", j, int(4 * v))], 1)),
        );
        acc.forEach((cells, i) => {
          const index = ofA.map((l) => l === gone[0] ? int(k) : places[i][out.indexOf(l)]);
          const left = low.named("a", un("splat", low.at(a, index)));
          cells.forEach((cell, v) => cell.set(madd(left, right[v], cell.get())));
        });
      }
      acc.forEach((cells, i) =>
        cells.forEach((cell, v) => {
          const at = bin("add", bin("mul", lines[i], int(N)), bin("add", j, int(4 * v)));
          const result = low.named("result", cell.get());
          low.store(arr, bin("add", bin("mul", r, int(size)), at), result);
          folds.forEach((t, f) => {
            const value = elementwise(t.args[0], new Map([[term, result]]))!;
            tops[f].set(bin(MONOIDS[t.project].join, tops[f].get(), value));
          });
        })
      );
    };
    low.loop("m", int(0), int(size / N / MR), 1, (m) => {
      // Not a loop over columns: addresses that do not change along it would be made before it, one by one.
      for (let j = 0; j < N; j += 4 * fours) results(m, int(j));
    });
    folds.forEach((t, f) =>
      low.store(held.get(t)!.arr, r, acrossLanes(MONOIDS[t.project].join, tops[f].get()))
    );
  });
  return 1 + folds.length;
};
