/**
 * Vectors along tokens: four tokens of a term at once, and sums of values whose channels do not come
 * in fours: o[row][channel] = Σ p·v.
 *
 * ```text
 * for each channel, and each of a few walks over the tokens:
 *   for four tokens: o[row] += p[row] · value             a value once for all rows that share it
 * for each row and channel: the walks' sums, then their lanes, are added up
 * ```
 * @module
 */
import type { Term } from "../../dsl/core/term.ts";
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
} from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { walksOf } from "../../compiler/lower/chunk.ts";
import { type Frame, quads, type Stream, type Sum } from "./shape.ts";

/** Places of a vector's lanes. */
export const LANES: readonly number[] = [0, 1, 2, 3];

/** Four tokens of a term from token t of the part; the last token of all is read again beyond it. */
export const fourTokens = (
  b: Builder,
  frame: Frame,
  term: Term,
  axis: number,
  t: Expr,
  index: (token: Expr) => Expr[],
): Expr => {
  const { low } = b;
  const { here, first, last } = frame;
  here.t = t;
  low.loose = true;
  const wide = low.tryWide(term, index(bin("add", first, t)), axis);
  low.loose = false;
  return wide ?? vec4(LANES.map((k) => {
    here.t = bin("add", t, int(k));
    return low.at(term, index(bin("min", bin("add", first, here.t), last)));
  }));
};

/** One value a row; rows that the values of a sum do not tell apart share it. */
export const eachRow = <A>({ like }: Sum, make: (row: Expr) => A): A[] => {
  const made: A[] = [];
  like.forEach((r, i) => made.push(r === i ? make(int(r)) : made[r]));
  return made;
};

/** A weight of 0 takes nothing of what it meets: beyond the last token a value is whatever lies there. */
export const weighed = (p: Expr, x: Expr): Expr =>
  select(bin("lt", un("splat", num(0)), p), bin("mul", p, x), un("splat", num(0)));

/** Adds up the values of a sum into its part. */
export const tokenRuns = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  weight: Arr,
  part: Arr,
): void => {
  const { low } = b;
  const { rows, chunk, roles } = stream;
  const [, values] = sum.term.args;
  const axis = sum.values.indexOf(roles.token);
  const walks = walksOf(sum.count);
  const sums = b.local("sums", 4 * rows * sum.count * walks);
  const place = (row: Expr, channel: Expr, walk: Expr): Expr => {
    const cell = bin("add", bin("mul", row, int(sum.count)), channel);
    return bin("mul", bin("add", bin("mul", cell, int(walks)), walk), int(4));
  };
  low.par("c", int(sum.count * walks), (c) => {
    const [channel, walk] = [bin("div", c, int(walks)), bin("rem", c, int(walks))];
    const cells = sum.like.map(() => low.mutable("o", un("splat", num(0))));
    low.loop("j", walk, quads(frame), walks, (j) => {
      const t = bin("mul", j, int(4));
      const four = eachRow(
        sum,
        (row) =>
          fourTokens(b, frame, values, axis, t, (token) => frame.value(sum, row, token, channel)),
      );
      cells.forEach((cell, r) => {
        const p = low.named("p", load(weight, bin("add", t, int(r * chunk)), true));
        cell.set(bin("add", cell.get(), weighed(p, four[r])));
      });
    });
    cells.forEach((cell, r) => low.store(sums, place(int(r), channel, walk), cell.get()));
  });
  low.par("g", int(rows * sum.count), (g) => {
    const [row, channel] = [bin("div", g, int(sum.count)), bin("rem", g, int(sum.count))];
    const total = low.mutable("o", un("splat", num(0)));
    low.loop(
      "w",
      int(0),
      int(walks),
      1,
      (w) => total.set(bin("add", total.get(), load(sums, place(row, channel, w), true))),
    );
    const at = bin("add", bin("add", frame.base(row), channel), int(sum.at));
    low.store(part, at, un("hsum", total.get()));
  });
};
