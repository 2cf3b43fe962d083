/**
 * Scores of a step and the weights made of them, for four queries at once. The running m and l of a
 * query move on with each step; what earlier steps added up is scaled by `factor`.
 *
 * ```text
 * for four queries of a row:
 *   for a token:  s = score;  top = max(m, s)
 *   factor = e^(m − top);  m = top
 *   for a token:  p = e^(s − m), 0 where masked;  l = l·factor + Σ p
 * ```
 * @module
 */
import { MASKED } from "../../../dsl/core/monoid.ts";
import {
  type Arr,
  bin,
  type Expr,
  int,
  load,
  num,
  select,
  un,
  vec4,
} from "../../../compiler/ir/expr.ts";
import type { Builder } from "../../../compiler/kernel.ts";
import { LANES } from "../tokens.ts";
import { padded, type Step, type Sums, type Tile } from "./frame.ts";

/** Four queries of a term, from query j of the block on; the last query of all is read again beyond it. */
export const fourQueries = (
  b: Builder,
  tile: Tile,
  labels: readonly string[],
  j: Expr,
  read: { readonly wide: (query: Expr) => Expr | undefined; readonly one: (query: Expr) => Expr },
): Expr => {
  const { low } = b;
  const from = bin("add", tile.first, j);
  if (!labels.includes(tile.label)) return un("splat", read.one(from));
  low.loose = true;
  const wide = read.wide(from);
  low.loose = false;
  return wide ??
    vec4(LANES.map((k) => read.one(bin("min", bin("add", from, int(k)), tile.last))));
};

/** Tokens of a step, four to a round and then one by one: a round costs as much as a token does. */
const eachToken = ({ low }: Builder, { count }: Step, body: (t: Expr) => void): void => {
  const whole = low.named("whole", bin("mul", bin("div", count, int(4)), int(4)));
  low.loop("t", int(0), whole, 4, (t) => LANES.forEach((k) => body(bin("add", t, int(k)))));
  low.loop("t", whole, count, 1, body);
};

/** Weights `[token][row][query]` of a step, up to a multiple of four tokens. */
export const weigh = (b: Builder, tile: Tile, step: Step, sums: Sums, weight: Arr): void => {
  const { low } = b;
  const { stream: { scores, roles }, queries, cells } = tile;
  const masked = un("splat", num(MASKED));
  const zero = un("splat", num(0));
  const axis = roles.scores.indexOf(tile.label);
  low.par("r", int(cells / 4), (r) => {
    const cell = bin("mul", r, int(4));
    const [row, j] = [bin("div", cell, int(queries)), bin("rem", cell, int(queries))];
    const at = (t: Expr): Expr => bin("add", bin("mul", t, int(cells)), cell);
    const old = low.named("m", load(sums.m, cell, true));
    const top = low.mutable("top", old);
    eachToken(b, step, (t) => {
      const token = bin("add", step.first, t);
      const index = (query: Expr): Expr[] => tile.index(roles.scores, { row, query, token });
      const score = fourQueries(b, tile, roles.scores, j, {
        wide: (query) => low.tryWide(scores, index(query), axis),
        one: (query) => low.at(scores, index(query)),
      });
      const s = low.named("s", score);
      low.store(weight, at(t), s);
      top.set(bin("max", s, top.get()));
    });
    const m = low.named("m", top.get());
    const factor = low.named("factor", un("exp", bin("sub", old, m)));
    low.store(sums.m, cell, m);
    low.store(sums.factor, cell, factor);
    const total = low.mutable("l", bin("mul", load(sums.l, cell, true), factor));
    eachToken(b, step, (t) => {
      const s = low.named("s", load(weight, at(t), true));
      const p = low.named("p", select(bin("le", s, masked), zero, un("exp", bin("sub", s, m))));
      low.store(weight, at(t), p);
      total.set(bin("add", total.get(), p));
    });
    low.store(sums.l, cell, total.get());
    low.loop("t", step.count, padded(step), 1, (t) => low.store(weight, at(t), zero));
  });
};
