/**
 * Products that scores read channel by channel, four tokens at a time: compiler/decoded.ts says which.
 *
 * ```text
 * for four tokens:  coded[token][j] = codes, scaled or looked up            once each
 *                   x[token][d] = Σ_j coded[token][j] · B[j][d]             micro.ts: 4 tokens × 8 channels
 * then products with queries read x, four channels at a time
 * ```
 * @module
 */
import { type Arr, bin, type Expr, int, load } from "../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../compiler/kernel.ts";
import { type Decoded, TOGETHER } from "../../compiler/decoded.ts";
import { product } from "../../compiler/lower/tile.ts";
import { multiply, vectorsOf } from "../micro.ts";
import type { Frame } from "./shape.ts";
import { decode } from "./tile/decode.ts";

/** Makes what scores read of the four tokens from token t of the part on. */
export type Decode = (t: Expr) => void;

const make = (b: Builder, frame: Frame, of: Decoded, coded: Arr, x: Arr, t: Expr): void => {
  const { low } = b;
  const { term, axes, tokens, gone, sizes, channels } = of;
  const { args, out } = term.labels;
  const first = low.named("first", bin("add", frame.first, t));
  const indexOf = (side: number, at: ReadonlyMap<string, Expr>): Expr[] =>
    args[side].map((l) => at.get(l) ?? frame.outer[axes.rowOf[out.indexOf(l)]!]);
  const summed = (k: Expr): [string, Expr][] => {
    const inside = unravel(k, sizes.map(int));
    return gone.map((l, i) => [l, inside[i]]);
  };
  const labels = args[tokens];
  decode(b, { first, count: int(TOGETHER), last: frame.last }, {
    term: term.args[tokens],
    axis: labels.length - 1,
    sizes,
    index: (token, inside) =>
      indexOf(
        tokens,
        new Map([[out[axes.token], token], ...gone.map((l, i): [string, Expr] => [l, inside[i]])]),
      ),
  }, coded);
  const count = product(sizes);
  const vectors = vectorsOf(channels);
  const channel = out[out.length - 1];
  const map = 1 - tokens;
  low.par("m", int(channels / (4 * vectors)), (m) => {
    const d = bin("mul", m, int(4 * vectors));
    const sums = multiply(low, {
      rows: TOGETHER,
      vectors,
      steps: int(count),
      one: (i, k) => load(coded, bin("add", k, int(i * count))),
      four: (v, k) =>
        low.wide(
          term.args[map],
          indexOf(map, new Map([...summed(k), [channel, bin("add", d, int(4 * v))]])),
          args[map].indexOf(channel),
        ),
    });
    sums.forEach((row, i) =>
      row.forEach((sum, v) => low.store(x, bin("add", d, int(i * channels + 4 * v)), sum))
    );
  });
  const last = out.length - 1;
  const at = (index: readonly Expr[]): Expr =>
    bin("add", bin("mul", bin("sub", index[axes.token], first), int(channels)), index[last]);
  low.sources.set(term, {
    at: (index) => load(x, at(index)),
    wide: (index, axis) => axis === last ? load(x, at(index), true) : undefined,
  });
};

/** Memory for the products of a plan, and what fills it. */
export const decoder = (b: Builder, plan: Plan, frame: Frame): Decode => {
  const all = (plan.decoded ?? []).map((of) => ({
    of,
    coded: b.local("coded", TOGETHER * product(of.sizes)),
    x: b.local("x", TOGETHER * of.channels),
  }));
  return (t) => {
    all.forEach(({ of }) => b.low.sources.delete(of.term));
    all.forEach(({ of, coded, x }) => make(b, frame, of, coded, x, t));
  };
};
