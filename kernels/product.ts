/**
 * A product that a row holds, on a device whose groups have one lane: tiles of 2 × 16 or 4 × 8 results in
 * registers, so that what is loaded is used more than once.
 *
 * ```text
 * for a row, for 2 × 16 results of it:  for k:  acc[i][j4] += splat(a[i, k]) · b[k, j4]      held[…] = acc
 * ```
 * @module
 */
import { isDynamic } from "../dsl/core/shape.ts";
import type { Term } from "../dsl/core/term.ts";
import { bin, type Expr, int, madd, num, un } from "../compiler/ir/expr.ts";
import { unravel } from "../compiler/kernel.ts";
import { showRow, type Tile } from "./rows.ts";

/** Terms of a sum that are written out. */
const MOST = 64;

/** Makes a held product readable for all rows; false where its results do not come in such tiles. */
export const stageProduct = (tile: Tile, term: Term): boolean => {
  const { low, held, start, rows, rowDims } = tile;
  if (term.tag !== "contract") return false;
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
  ) return false;
  const K = b.shape[0] as number;
  if (K > MOST || low.tryWide(b, [int(0), int(0)], 1) === undefined) return false;
  const fours = [4, 2, 1].find((n) => N % (4 * n) === 0)!;
  const MR = size / N % 4 === 0 && fours < 4 ? 4 : 2;
  low.loop("r", int(0), rows, 1, (r) => {
    showRow(tile, r);
    low.sources.delete(term);
    const row = unravel(bin("add", start, r), rowDims);
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
          low.store(arr, bin("add", bin("mul", r, int(size)), at), cell.get());
        })
      );
    };
    low.loop("m", int(0), int(size / N / MR), 1, (m) => {
      // Not a loop over columns: addresses that do not change along it would be made before it, one by one.
      for (let j = 0; j < N; j += 4 * fours) results(m, int(j));
    });
  });
  return true;
};
