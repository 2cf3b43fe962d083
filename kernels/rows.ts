/**
 * The rows of a tile on a device whose groups have one lane: statistics four at a time, and nested loops
 * whose inner turns are written out, so that indices are simple and what is held of a row is read once.
 *
 * ```text
 * lanes share out:  for e < rows · size:  held[e] = term(e)           for b < rows · blocks:  store block b
 * one lane:         for 4 elements:       folds in one walk, joined   for a row:              names of what it holds
 *                     by a transposition; what follows, in lanes        for a turn of blocks: store, store, …
 * ```
 * @module
 */
import { codesIn } from "../dsl/core/dtype.ts";
import { blocksOf, inVectors, VECTOR } from "../dsl/core/layout.ts";
import { type Term, type TermOf, topological } from "../dsl/core/term.ts";
import {
  type Arr,
  bin,
  type Expr,
  int,
  load,
  num,
  packBytes,
  roundedHalves,
  un,
} from "../compiler/ir/expr.ts";
import { unravel } from "../compiler/kernel.ts";
import { isHadamard } from "../compiler/rules/butterfly.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { applyOp, castValue, hasLanes } from "../compiler/lower/numeric.ts";
import { foldsAtFour } from "../compiler/lower/reductions.ts";
import { wholeOf } from "../dsl/bound/whole.ts";
import { type Held, holdRow } from "./stage.ts";
import { placeOf, storeBlock, storedValue } from "./store.ts";

/** The rows of one group. */
export interface Tile {
  readonly low: Lower;
  /** What is held of every row. */
  readonly held: ReadonlyMap<Term, Held>;
  /** First row of the group, how many there are, and how many at most. */
  readonly start: Expr;
  readonly rows: Expr;
  readonly most: number;
  /** Sizes of the axes of a row. */
  readonly rowDims: readonly Expr[];
  /** Leading axes of a root that make a row. */
  readonly rowAxes: number;
}

/** Blocks of codes, and fours of numbers, that are written out in one turn of a loop. */
const [BLOCKS, FOURS] = [4, 16];

/** The most turns' worth that divides a count. */
const turnOf = (count: number, most: number): number =>
  count <= most
    ? count
    : Array.from({ length: most }, (_, i) => most - i).find((n) => count % n === 0)!;

/** Do the held values of rows lie one after the other as the term's own do? */
export const isFlat = ({ axes, coded }: Held): boolean =>
  !coded &&
  axes.rowOf.every((r, a) => r === undefined || r === a) &&
  axes.held.every((a, k) => a === axes.rowOf.length - axes.held.length + k);

/**
 * Four elements of what is made of known terms alone, element by element, from what those are at the same place
 * of a row; undefined is unknown there. A term that many others share is looked at once.
 */
export const elementwise = (
  root: Term,
  known: ReadonlyMap<Term, Expr | undefined>,
): Expr | undefined => {
  const done = new Map<Term, Expr | undefined>(known);
  const made = (term: Term): Expr | undefined => {
    if (!done.has(term)) done.set(term, make(term));
    return done.get(term);
  };
  const make = (term: Term): Expr | undefined => {
    if (term.tag === "constant") return un("splat", num(term.value));
    if (term.tag === "reshape") return made(term.args[0]);
    if (term.tag !== "cast" && !(term.tag === "map" && hasLanes(term.op))) return undefined;
    const args = term.args.map(made);
    if (args.some((a) => a === undefined)) return undefined;
    return term.tag === "cast"
      ? castValue(term.dtype, args[0]!, wholeOf(term.args[0]))
      : applyOp(term.op, args as Expr[]);
  };
  return make(root);
};

/** The same from a multiple of four on, of terms that are held. */
const flatOf = (
  root: Term,
  at: Expr,
  size: number,
  held: ReadonlyMap<Term, Held>,
): Expr | undefined =>
  elementwise(
    root,
    new Map(
      [...held].map(([t, own]) =>
        [t, own.size === size && isFlat(own) ? load(own.arr, at, true) : undefined] as const
      ),
    ),
  );

/** Do lanes of the fold run along what is folded? */
const alongFold = (low: Lower, term: TermOf<"fold">): boolean => {
  const axis = term.labels.args[0];
  const gone = axis.filter((l) => !term.labels.out.includes(l));
  const last = axis.indexOf(gone[gone.length - 1]);
  const size = term.args[0].shape[last];
  return typeof size === "number" && size % 4 === 0 &&
    low.tryWide(term.args[0], axis.map(() => int(0)), last) !== undefined;
};

/**
 * Makes the first of `terms` for all rows, and as many after it as the same loop can make; returns how many
 * that were, 0 where a number at a time is as good.
 */
export const stageFours = (tile: Tile, terms: readonly Term[]): number => {
  const { low, held, start, rows, rowDims } = tile;
  const { size } = held.get(terms[0])!;
  const known = new Map([...held].filter(([t]) => !terms.includes(t)));
  const run: Term[] = [];
  low.inBlock(() => {
    showRow(tile, int(0));
    for (const term of terms) {
      const own = held.get(term)!;
      if (own.size !== size || !isFlat(own)) break;
      if (term.tag === "fold") {
        // Folds come first in the loop: of what is there before it.
        const below = new Set(topological(term.args));
        if (run.some((t) => below.has(t)) || !alongFold(low, term)) break;
      } else if (flatOf(term, int(0), size, known) === undefined) break;
      run.push(term);
      known.set(term, own);
    }
  });
  if (run.length === 0) return 0;
  const folds = run.filter((t): t is Term & TermOf<"fold"> => t.tag === "fold");
  const fours = bin("div", bin("add", bin("mul", rows, int(size)), int(3)), int(4));
  low.loop("q", int(0), fours, 1, (q) => {
    const from = bin("mul", q, int(4));
    // Folds of one size may have axes of their own.
    const at = (fold: Term, k: number): Expr[] => {
      const e = bin("add", from, int(k));
      const r = low.named("r", bin("min", bin("div", e, int(size)), bin("sub", rows, int(1))));
      showRow(tile, r);
      const row = unravel(bin("add", start, r), rowDims);
      const { axes } = held.get(fold)!;
      const inside = unravel(
        bin("rem", e, int(size)),
        axes.held.map((a) => int(fold.shape[a] as number)),
      );
      return fold.shape.map((_, a) =>
        axes.rowOf[a] === undefined ? inside[axes.held.indexOf(a)] : row[a]
      );
    };
    const values = folds.length === 0 ? [] : foldsAtFour(low, folds, at);
    folds.forEach((term, i) => low.store(held.get(term)!.arr, from, values[i]));
    run.filter((t) => t.tag !== "fold").forEach((term) =>
      low.store(held.get(term)!.arr, from, flatOf(term, from, size, known)!)
    );
  });
  return run.length;
};

/** Makes what is held of row `r` readable; what is read at a known place of it gets a name in this block. */
export const showRow = ({ low, held }: Tile, r: Expr): void => {
  const { block } = low;
  const vectors = new Map<unknown, Map<Expr, Expr>>();
  const vector = (value: Expr): Expr => {
    const here = vectors.get(low.block) ?? new Map<Expr, Expr>();
    vectors.set(low.block, here);
    if (!here.has(value)) here.set(value, low.named("codes", value));
    return here.get(value)!;
  };
  held.forEach((h, term) => {
    const source = holdRow(h, term, r, vector);
    const names = new Map<Expr, Expr>();
    const named = (value: Expr): Expr => {
      if (!names.has(value)) names.set(value, low.named("held", value, block));
      return names.get(value)!;
    };
    low.sources.set(term, {
      ...source,
      at: (index) => {
        const value = source.at(index);
        return h.axes.held.every((a) => index[a].op === "const") ? named(value) : value;
      },
    });
  });
};

/** Makes held codes of all rows, a vector of them at a time; false where they are held as numbers. */
export const stageCodes = (tile: Tile, term: Term): boolean => {
  const { low, held, start, rowDims } = tile;
  const { arr, axes, size, coded } = held.get(term)!;
  if (!coded) return false;
  const inner = axes.held.map((a) => int(term.shape[a] as number));
  const last = term.shape.length - 1;
  eachUnit(tile, size / VECTOR, BLOCKS, (r, unit) => {
    low.sources.delete(term);
    const row = unravel(bin("add", start, r), rowDims);
    const first = bin("mul", unit, int(VECTOR));
    const quads = [0, 4, 8, 12].map((k) => {
      const inside = unravel(bin("add", first, int(k)), inner);
      const index = term.shape.map((_, a) =>
        axes.rowOf[a] === undefined ? inside[axes.held.indexOf(a)] : row[axes.rowOf[a]]
      );
      return low.wide(term, index, last);
    });
    const at = bin("div", bin("add", bin("mul", r, int(size)), first), int(4));
    low.store(arr, at, packBytes(quads));
  });
  return true;
};

/**
 * Stores a root of halves that is held, as it lies: a full tile only, so that nothing is written beyond the
 * end. False where it cannot be.
 */
export const storeHeld = (
  { low, held, start, rows, most }: Tile,
  root: Term,
  out: Arr,
): boolean => {
  const own = held.get(root);
  if (own === undefined || !isFlat(own) || root.dtype !== "f16" || most * own.size % 8 !== 0) {
    return false;
  }
  const base = bin("div", bin("mul", start, int(own.size)), int(2));
  low.when(
    bin("eq", rows, int(most)),
    () =>
      low.loop("w", int(0), int(most * own.size / 8), 1, (w) => {
        const [a, b] = [0, 4].map((k) =>
          load(own.arr, bin("add", bin("mul", w, int(8)), int(k)), true)
        );
        low.store(out, bin("add", base, bin("mul", w, int(4))), roundedHalves(a, b));
      }),
  );
  return true;
};

/** How many units of a term are written out in a turn: all of one whose places have to be known. */
export const turnFor = (term: Term, unit: number): number => {
  const staged = topological([term]).some((t) => t.tag === "contract" && isHadamard(t.args[1]));
  return staged ? Infinity : unit === 4 ? FOURS : 1;
};

/** Every unit of every row: loops over rows and turns of units, a turn written out. */
export const eachUnit = (
  tile: Tile,
  count: number,
  most: number,
  store: (r: Expr, unit: Expr) => void,
): void => {
  const { low } = tile;
  const turn = turnOf(count, most);
  low.loop("r", int(0), tile.rows, 1, (r) => {
    showRow(tile, r);
    const units = (from: Expr): void => {
      for (let k = 0; k < turn; k++) store(r, bin("add", from, int(k)));
    };
    if (turn === count) units(int(0));
    else {
      low.loop("t", int(0), int(count / turn), 1, (t) => units(bin("mul", t, int(turn))));
    }
  });
};

/** Stores a root of codes or of numbers, which is made row after row as `made`; false for halves. */
export const storeRows = (tile: Tile, root: Term, made: Term, out: Arr): boolean => {
  const { low, start, rowDims, rowAxes } = tile;
  const innerShape = made.shape.slice(rowAxes).map((d) => d as number);
  const inner = innerShape.map(int);
  const size = innerShape.reduce((n, d) => n * d, 1);
  const last = innerShape[innerShape.length - 1] ?? 1;
  const rowOf = (r: Expr): Expr => bin("add", start, r);
  const codes = codesIn(root.dtype);
  if (codes !== undefined) {
    const blocks = blocksOf(codes, last);
    const perRow = size / last * blocks.count;
    eachUnit(tile, perRow, inVectors(blocks) ? BLOCKS : 1, (r, unit) => {
      const line = bin("div", unit, int(blocks.count));
      const inside = unravel(bin("mul", line, int(last)), inner).slice(0, -1);
      const lead = [...unravel(rowOf(r), rowDims), ...inside];
      const own = bin("add", bin("mul", rowOf(r), int(size / last)), line);
      const block = bin("rem", unit, int(blocks.count));
      storeBlock(low, out, made, lead, placeOf(low, root, made, lead, own), block);
    });
    return true;
  }
  if (root.dtype === "f16") return false;
  const unit = last % 4 === 0 ? 4 : 1;
  eachUnit(tile, size / unit, turnFor(made, unit), (r, e) => {
    const at = bin("mul", e, int(unit));
    const index = [...unravel(rowOf(r), rowDims), ...unravel(at, inner)];
    const value = unit === 4 ? low.wide(made, index, index.length - 1) : low.at(made, index);
    const own = bin("add", bin("mul", rowOf(r), int(size)), at);
    low.store(out, placeOf(low, root, made, index, own), storedValue(root, value));
  });
  return true;
};
