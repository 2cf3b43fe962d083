/**
 * What stays the same along tokens, once a block of queries: `[held][query]` where it differs by query.
 * A tensor in memory is turned so that lanes can run along queries; what is made of it is made for four
 * queries at once.
 * @module
 */
import type { Term } from "../../../dsl/core/term.ts";
import { type Arr, bin, type Expr, int, lane, load } from "../../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../../compiler/kernel.ts";
import { linear, type Source } from "../../../compiler/lower/memory.ts";
import { type HeldAxes, heldCount } from "../../../compiler/lower/row.ts";
import { queryAxis } from "../../../compiler/lower/tile.ts";
import { holdRow } from "../../stage.ts";
import type { Tile } from "./frame.ts";

/** A term held by query as a source. */
const heldByQuery = (tile: Tile, arr: Arr, term: Term, axes: HeldAxes): Source => {
  const { queries, first, query } = tile;
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const own = queryAxis(axes, query);
  const at = (index: readonly Expr[]): Expr => {
    const inside = linear(dims, axes.held.map((a) => index[a]));
    return bin("add", bin("mul", inside, int(queries)), bin("sub", index[own], first));
  };
  return {
    at: (index) => load(arr, at(index)),
    wide: (index, axis) => axis === own ? load(arr, at(index), true) : undefined,
  };
};

/** Index of a staged term from its held axes and a query. */
const placeOf = (
  term: Term,
  { held, rowOf }: HeldAxes,
  { query, outer }: Tile,
  inside: readonly Expr[],
  at: Expr,
): Expr[] =>
  term.shape.map((_, a) =>
    held.includes(a) ? inside[held.indexOf(a)] : rowOf[a] === query ? at : outer[rowOf[a]!]
  );

/** Copies a tensor's rows of the block, four values at a time where they lie side by side. */
const turn = (b: Builder, tile: Tile, term: Term, axes: HeldAxes, arr: Arr): void => {
  const { low } = b;
  const { queries, first, last } = tile;
  const axis = axes.held[axes.held.length - 1];
  const size = heldCount(term, axes);
  const four = axis !== undefined && (term.shape[axis] as number) % 4 === 0;
  const unit = four ? 4 : 1;
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  low.par("h", int(size / unit * queries), (h) => {
    const [j, at] = [bin("div", h, int(size / unit)), bin("rem", h, int(size / unit))];
    const inside = unravel(bin("mul", at, int(unit)), dims);
    const where = low.named("row", bin("min", bin("add", first, j), last));
    const index = placeOf(term, axes, tile, inside, where);
    const value = four ? low.named("x", low.wide(term, index, axis)) : low.at(term, index);
    const to = bin("add", bin("mul", at, int(unit * queries)), j);
    for (let k = 0; k < unit; k++) {
      low.store(arr, bin("add", to, int(k * queries)), four ? lane(value, k) : value);
    }
  });
};

/** Makes a term for four queries at a time. */
const make = (b: Builder, tile: Tile, term: Term, axes: HeldAxes, arr: Arr): void => {
  const { low } = b;
  const { queries, first, query } = tile;
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const fours = queries / 4;
  low.par("h", int(heldCount(term, axes) * fours), (h) => {
    const j = bin("mul", bin("rem", h, int(fours)), int(4));
    const inside = unravel(bin("div", h, int(fours)), dims);
    const index = placeOf(term, axes, tile, inside, bin("add", first, j));
    low.store(arr, bin("mul", h, int(4)), low.wide(term, index, queryAxis(axes, query)));
  });
};

/** Stages every term that does not change along tokens. */
export const stageTile = (b: Builder, plan: Plan, tile: Tile): void => {
  const { low } = b;
  for (const [term, axes] of plan.axes) {
    const size = heldCount(term, axes);
    const byQuery = queryAxis(axes, tile.query) >= 0;
    const leaf = b.isLeaf(term);
    const arr = b.local("held", size * (byQuery ? tile.queries : 1));
    if (byQuery) {
      if (leaf) turn(b, tile, term, axes, arr);
      else {
        low.sources.delete(term);
        make(b, tile, term, axes, arr);
      }
      low.sources.set(term, heldByQuery(tile, arr, term, axes));
      continue;
    }
    if (!leaf) low.sources.delete(term);
    const dims = axes.held.map((a) => int(term.shape[a] as number));
    low.par("h", int(size), (h) => {
      const index = placeOf(term, axes, tile, unravel(h, dims), int(0));
      low.store(arr, h, low.at(term, index));
    });
    low.sources.set(term, holdRow({ arr, axes, size }, term, int(0)));
  }
};
