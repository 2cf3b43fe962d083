/**
 * Weights times values of a step, added to `o[channel][row][query]`.
 *
 * ```text
 * values that all rows and queries share:
 *   tile[token][channel] = decode(tokens)                        stream/tile/decode.ts
 *   o[channel][cell] = o·factor + Σ_t tile[t][channel] · p[t][cell]     micro.ts
 * values that they do not:  the same, a value at a time
 * ```
 * @module
 */
import { type Arr, bin, type Expr, int, load, madd } from "../../../compiler/ir/expr.ts";
import type { Builder } from "../../../compiler/kernel.ts";
import { sharesValues } from "../../../compiler/lower/tile.ts";
import { multiply, ROWS, vectorsOf } from "../../micro.ts";
import type { Sum } from "../shape.ts";
import { decode } from "./decode.ts";
import { padded, type Step, type Sums, type Tile } from "./frame.ts";
import { fourQueries } from "./scores.ts";

/** Rows of a micro product that divide the channels. */
const rowsOf = (count: number): number => {
  let rows = Math.min(ROWS, count);
  while (count % rows !== 0) rows--;
  return rows;
};

const matrices = (
  b: Builder,
  tile: Tile,
  step: Step,
  sum: Sum,
  { factor }: Sums,
  o: Arr,
  weight: Arr,
  decoded: Arr,
): void => {
  const { low } = b;
  const { cells } = tile;
  const last = sum.channels[sum.channels.length - 1];
  decode(b, step, {
    term: sum.term.args[1],
    axis: sum.values.indexOf(last),
    sizes: sum.channels.map((l) => sum.dim(l) as number),
    index: (token, channels) => tile.index(sum.values, { query: tile.first, token, channels }, sum),
  }, decoded);
  const rows = rowsOf(sum.count);
  const vectors = vectorsOf(cells);
  const blocks = cells / (4 * vectors);
  low.par("c", int(sum.count / rows * blocks), (v) => {
    const c = bin("mul", bin("rem", v, int(sum.count / rows)), int(rows));
    const cell = bin("mul", bin("div", v, int(sum.count / rows)), int(4 * vectors));
    const at = (i: number, k: number): Expr =>
      bin("add", bin("add", bin("mul", c, int(cells)), cell), int(i * cells + 4 * k));
    const f = Array.from(
      { length: vectors },
      (_, k) => low.named("factor", load(factor, bin("add", cell, int(4 * k)), true)),
    );
    const sums = multiply(low, {
      rows,
      vectors,
      steps: padded(step),
      one: (i, t) =>
        load(decoded, bin("add", bin("add", bin("mul", t, int(sum.count)), c), int(i))),
      four: (k, t) =>
        load(weight, bin("add", bin("add", bin("mul", t, int(cells)), cell), int(4 * k)), true),
      start: (i, k) => bin("mul", load(o, at(i, k), true), f[k]),
    });
    sums.forEach((row, i) => row.forEach((value, k) => low.store(o, at(i, k), value)));
  });
};

const oneByOne = (
  b: Builder,
  tile: Tile,
  step: Step,
  sum: Sum,
  { factor }: Sums,
  o: Arr,
  weight: Arr,
): void => {
  const { low } = b;
  const { cells, queries } = tile;
  const values = sum.term.args[1];
  const axis = sum.values.indexOf(tile.label);
  low.par("c", int(sum.count * cells / 4), (v) => {
    const at = bin("mul", v, int(4));
    const [channel, cell] = [bin("div", at, int(cells)), bin("rem", at, int(cells))];
    const [row, j] = [bin("div", cell, int(queries)), bin("rem", cell, int(queries))];
    const start = bin("mul", load(o, at, true), load(factor, cell, true));
    const total = low.mutable("o", start);
    low.loop("t", int(0), step.count, 1, (t) => {
      const token = bin("add", step.first, t);
      const inside = tile.channels(sum, channel);
      const index = (query: Expr): Expr[] =>
        tile.index(sum.values, { row, query, token, channels: inside }, sum);
      const value = fourQueries(b, tile, sum.values, j, {
        wide: (query) => low.tryWide(values, index(query), axis),
        one: (query) => low.at(values, index(query)),
      });
      const p = load(weight, bin("add", bin("mul", t, int(cells)), cell), true);
      total.set(madd(p, value, total.get()));
    });
    low.store(o, at, total.get());
  });
};

/** Values of 0: what was added up fades. */
const fades = (b: Builder, { cells }: Tile, sum: Sum, { factor }: Sums, o: Arr): void => {
  const { low } = b;
  low.par("c", int(sum.count * cells / 4), (v) => {
    const at = bin("mul", v, int(4));
    const by = load(factor, bin("rem", at, int(cells)), true);
    low.store(o, at, bin("mul", load(o, at, true), by));
  });
};

/** Adds the values of a step to every sum of the block. */
export const addStep = (
  b: Builder,
  tile: Tile,
  step: Step,
  sums: Sums,
  weight: Arr,
  decoded: Arr,
): void =>
  tile.stream.sums.forEach((sum, i) => {
    const [, values] = sum.term.args;
    if (values.tag === "constant" && values.value === 0) fades(b, tile, sum, sums, sums.o[i]);
    else if (sharesValues(sum, tile.stream.roles, tile.label)) {
      matrices(b, tile, step, sum, sums, sums.o[i], weight, decoded);
    } else oneByOne(b, tile, step, sum, sums, sums.o[i], weight);
  });
