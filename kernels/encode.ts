/**
 * `encode`: statistics of a row, then everything that is stored of it, in one pass over a tile of rows.
 * RMSNorm, a rotation before quantizing, scales, minima and packed codes are all instances.
 *
 * ```text
 * for a tile of rows:
 *   for each staged fold or small product: group memory[row][…] = its value     (statistics)
 *   for each root: store(root at row)                                           (whole words)
 * ```
 * @module
 */
import { codesIn } from "../dsl/core/dtype.ts";
import { blocksOf } from "../dsl/core/layout.ts";
import { countOf } from "../dsl/core/shape.ts";
import type { Term } from "../dsl/core/term.ts";
import { type Arr, bin, type Expr, int, select, variable, word } from "../compiler/ir/expr.ts";
import { GROUP } from "../compiler/ir/stmt.ts";
import { Builder, type Skeleton, unravel } from "../compiler/kernel.ts";
import type { Lower } from "../compiler/lower/at.ts";
import { constantSource } from "../compiler/lower/memory.ts";
import { heldCount } from "../compiler/lower/row.ts";
import { stageProduct } from "./product.ts";
import {
  eachUnit,
  stageCodes,
  stageFours,
  storeHeld,
  storeRows,
  type Tile,
  turnFor,
} from "./rows.ts";
import { type Held, holdRow, holdsVectors } from "./stage.ts";
import { mergeInto } from "./stream/merge.ts";
import { halfPair, placeOf, storeBlock, storedValue } from "./store.ts";

/** The skeleton. */
export const encodeSkeleton: Skeleton = (plan, context) => {
  const made = plan.made ?? plan.roots;
  const rowShape = made[0].shape.slice(0, plan.rowAxes);
  const { tile } = plan;
  const streams = plan.staged.filter((t) => t.tag === "fold" && t.monoid === "softmax");
  // A streaming fold's operands belong to its own kernel.
  const b = new Builder({
    ...context,
    materialized: new Set([...context.materialized, ...streams]),
  });
  const { low } = b;
  const total = b.count(rowShape);
  const start = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(tile));
  const rows = bin("min", int(tile), bin("sub", total, start));
  const rowDims = low.dims(rowShape);

  const held = new Map<Term, Held>();
  const hide = (terms: readonly Term[]): void =>
    terms.forEach((t) => low.sources.set(t, constantSource(int(0))));
  hide(plan.staged);
  const parts = streams.map((t) => mergeInto(b, context, t));
  b.read([
    ...plan.roots.filter((r) => !streams.includes(r)),
    ...plan.staged.filter((t) => !streams.includes(t)).flatMap((t) => "args" in t ? t.args : []),
  ]);
  // What merges a streaming fold has few rows, and much to write for each.
  const serial = context.target.serial && streams.length === 0;
  for (const term of plan.staged) {
    const axes = plan.axes.get(term)!;
    const size = heldCount(term, axes);
    const coded = serial && holdsVectors(term, axes);
    const arr = coded ? b.local("codes", size * tile / 4, "u32") : b.local("row", size * tile);
    held.set(term, { arr, axes, size, coded });
  }
  const outs = plan.roots.map((r) => b.write(r));

  /** Makes the staged terms of row `r` readable. */
  const show = (r: Expr): void =>
    held.forEach((h, term) => low.sources.set(term, holdRow(h, term, r)));

  const group: Tile = { low, held, start, rows, most: tile, rowDims, rowAxes: plan.rowAxes };
  let done = 0;
  plan.staged.forEach((term, at) => {
    if (at < done || (serial && stageCodes(group, term))) return;
    const stream = streams.indexOf(term as (typeof streams)[number]);
    if (serial) done = at + stageFours(group, plan.staged.slice(at));
    if (serial && at >= done) done = at + stageProduct(group, plan.staged.slice(at));
    if (at < done || (serial && stageCodes(group, term))) return;
    const { arr, axes, size } = held.get(term)!;
    const four = size % 4 === 0 && axes.held[axes.held.length - 1] === term.shape.length - 1 &&
      (term.shape[term.shape.length - 1] as number) % 4 === 0 && (stream < 0 || parts[stream].wide);
    const unit = four ? 4 : 1;
    const inner = axes.held.map((a) => int(term.shape[a] as number));
    const make = (r: Expr, e: Expr): void => {
      const at = bin("mul", e, int(unit));
      const row = unravel(bin("add", start, r), rowDims);
      const inside = unravel(at, inner);
      const index = term.shape.map((_, a) =>
        axes.held.includes(a) ? inside[axes.held.indexOf(a)] : row[axes.rowOf[a]!]
      );
      low.sources.delete(term);
      const value = stream >= 0
        ? parts[stream].value(index, four)
        : four
        ? low.wide(term, index, term.shape.length - 1)
        : low.at(term, index);
      low.store(arr, bin("add", bin("mul", r, int(size)), at), value);
    };
    if (serial) return eachUnit(group, size / unit, turnFor(term, unit), make);
    low.par("e", bin("mul", rows, int(size / unit)), (e) => {
      const r = bin("div", e, int(size / unit));
      show(r);
      make(r, bin("rem", e, int(size / unit)));
    });
  });

  plan.roots.forEach((root, i) => {
    if (serial && storeRows(group, root, made[i], outs[i])) return;
    // What a full tile stores in one go is left to a tile that is not full.
    const whole = serial && root === made[i] && storeHeld(group, root, outs[i]);
    const left = whole ? select(bin("eq", rows, int(tile)), int(0), rows) : rows;
    storeRoot(low, root, made[i], outs[i], plan.rowAxes, tile, start, left, rowDims, show);
  });
  return [b.finish(context.name, "encode", (s) => Math.ceil(countOf(rowShape, s) / tile))];
};

const storeRoot = (
  low: Lower,
  root: Term,
  made: Term,
  out: Arr,
  rowAxes: number,
  tile: number,
  start: Expr,
  rows: Expr,
  rowDims: readonly Expr[],
  show: (r: Expr) => void,
): void => {
  const innerShape = made.shape.slice(rowAxes).map((d) => d as number);
  const size = innerShape.reduce((n, d) => n * d, 1);
  const inner = innerShape.map(int);
  const indexAt = (
    r: Expr,
    at: Expr,
  ): Expr[] => [...unravel(bin("add", start, r), rowDims), ...unravel(at, inner)];
  const codes = codesIn(root.dtype);
  if (codes !== undefined) {
    const n = innerShape[innerShape.length - 1] ?? 1;
    const { count } = blocksOf(codes, n);
    const perRow = size / n * count;
    low.par("b", bin("mul", rows, int(perRow)), (e) => {
      const r = bin("div", e, int(perRow));
      const block = bin("rem", e, int(perRow));
      show(r);
      const lead = indexAt(r, bin("mul", bin("div", block, int(count)), int(n))).slice(0, -1);
      const own = bin(
        "add",
        bin("mul", bin("add", start, r), int(size / n)),
        bin("div", block, int(count)),
      );
      const row = placeOf(low, root, made, lead, own);
      storeBlock(low, out, made, lead, row, bin("rem", block, int(count)));
    });
    return;
  }
  const elements = bin("mul", rows, int(size));
  if (root.dtype === "f16") {
    if (tile * size % 2 !== 0) {
      throw new Error(`a tile of ${tile} rows of ${size} halves ends inside a word`);
    }
    const base = bin("mul", start, int(size));
    low.par("w", bin("div", bin("add", elements, int(1)), int(2)), (w) => {
      const place = (k: number): { r: Expr; index: Expr[] } => {
        const at = bin(
          "min",
          bin("add", bin("mul", w, int(2)), int(k)),
          bin("sub", elements, int(1)),
        );
        const r = bin("div", at, int(size));
        return { r, index: indexAt(r, bin("rem", at, int(size))) };
      };
      const half = (k: number): Expr => {
        const { r, index } = place(k);
        show(r);
        return low.at(made, index);
      };
      const pair = halfPair(half(0), half(1));
      const alone = bin("le", elements, bin("add", bin("mul", w, int(2)), int(1)));
      const own = bin("add", base, bin("mul", w, int(2)));
      const at = bin("div", placeOf(low, root, made, place(0).index, own), int(2));
      low.store(out, at, select(alone, bin("and", pair, word(0xffff)), pair));
    });
    return;
  }
  const four = innerShape.length > 0 && innerShape[innerShape.length - 1] % 4 === 0;
  const unit = four ? 4 : 1;
  low.par("o", bin("div", elements, int(unit)), (e) => {
    const flat = bin("mul", e, int(unit));
    const r = bin("div", e, int(size / unit));
    const at = bin("mul", bin("rem", e, int(size / unit)), int(unit));
    show(r);
    const index = indexAt(r, at);
    const value = four ? low.wide(made, index, index.length - 1) : low.at(made, index);
    const own = bin("add", bin("mul", start, int(size)), flat);
    low.store(out, placeOf(low, root, made, index, own), storedValue(root, value));
  });
};
