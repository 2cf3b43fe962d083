/**
 * What stays the same along tokens, computed once a group: a rotated query, Σ q, a query as 16-bit
 * integers.
 * @module
 */
import type { Term } from "../../dsl/core/term.ts";
import { asI16, bin, type Expr, int, load, packI16, un } from "../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../compiler/kernel.ts";
import { linear } from "../../compiler/lower/memory.ts";
import { type HeldAxes, heldCount } from "../../compiler/lower/row.ts";
import { holdRow } from "../stage.ts";

const indexOf = (
  term: Term,
  axes: HeldAxes,
  inside: readonly Expr[],
  outer: readonly Expr[],
): Expr[] =>
  term.shape.map((_, a) =>
    axes.held.includes(a) ? inside[axes.held.indexOf(a)] : outer[axes.rowOf[a]!]
  );

/** Eight integers a step; the last axis is a multiple of 16 by the rule that made the cast. */
const stageFixed = (
  b: Builder,
  term: Term,
  axes: HeldAxes,
  size: number,
  outer: readonly Expr[],
): void => {
  const { low } = b;
  const arr = b.local("fixed", size / 2, "u32");
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const last = term.shape.length - 1;
  low.par("h", int(size / 8), (h) => {
    const half = (k: number): Expr => {
      const inside = unravel(bin("add", bin("mul", h, int(8)), int(4 * k)), dims);
      return low.wide(term, indexOf(term, axes, inside, outer), last);
    };
    low.store(arr, bin("mul", h, int(4)), packI16(half(0), half(1)));
  });
  low.sources.set(term, {
    at: (index) => {
      const at = linear(dims, axes.held.map((a) => index[a]));
      const pair = un("toI32", load(arr, bin("div", at, int(2))));
      const high = bin(
        "shl",
        pair,
        bin("mul", bin("sub", int(1), bin("rem", at, int(2))), int(16)),
      );
      return un("toF32", bin("shr", high, int(16)));
    },
    wide: () => undefined,
    fixed: (index) => {
      const at = linear(dims, axes.held.map((a) => index[a]));
      return asI16(load(arr, bin("div", at, int(2)), true));
    },
  });
};

/** Stages every term that does not change along tokens. */
export const stage = (b: Builder, plan: Plan, outer: readonly Expr[]): void => {
  const { low } = b;
  for (const [term, axes] of plan.axes) {
    const size = heldCount(term, axes);
    low.sources.delete(term);
    if (term.tag === "cast" && term.dtype === "i16") {
      stageFixed(b, term, axes, size, outer);
      continue;
    }
    const arr = b.local("held", size);
    const last = term.shape.length - 1;
    const four = axes.held[axes.held.length - 1] === last && (term.shape[last] as number) % 4 === 0;
    const unit = four ? 4 : 1;
    const dims = axes.held.map((a) => int(term.shape[a] as number));
    low.par("h", int(size / unit), (h) => {
      const at = bin("mul", h, int(unit));
      const index = indexOf(term, axes, unravel(at, dims), outer);
      low.store(arr, at, four ? low.wide(term, index, last) : low.at(term, index));
    });
    low.sources.set(term, holdRow({ arr, axes, size }, term, int(0)));
  }
};
