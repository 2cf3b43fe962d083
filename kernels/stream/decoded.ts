/**
 * Products that scores read channel by channel, a few tokens at a time: compiler/decoded.ts says which.
 *
 * ```text
 * for each token:    coded[token][j] = codes, scaled or looked up           once each
 * for four tokens:   x[token][d] = Σ_j coded[token][j] · B[j][d]            micro.ts: 4 tokens × 8 channels
 * then products with queries read x, four channels at a time
 * ```
 * @module
 */
import { type Arr, bin, type Expr, int, load } from "../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../compiler/kernel.ts";
import { AT_ONCE, type Decoded } from "../../compiler/decoded.ts";
import { product } from "../../compiler/lower/tile.ts";
import { multiply, ROWS, vectorsOf } from "../micro.ts";
import type { Frame } from "./shape.ts";
import { decode } from "./tile/decode.ts";
import { padded, type Step } from "./tile/frame.ts";

/** Makes what scores read of some tokens. */
export type Decode = (step: Step) => void;

const make = (
  b: Builder,
  outer: readonly Expr[],
  of: Decoded,
  coded: Arr,
  x: Arr,
  step: Step,
): void => {
  const { low } = b;
  const { term, axes, tokens, gone, sizes, channels } = of;
  const { args, out } = term.labels;
  const [map, last] = [1 - tokens, out.length - 1];
  const indexOf = (side: number, at: ReadonlyMap<string, Expr>): Expr[] =>
    args[side].map((l) => at.get(l) ?? outer[axes.rowOf[out.indexOf(l)]!]);
  const summed = (inside: readonly Expr[]): [string, Expr][] => gone.map((l, i) => [l, inside[i]]);
  decode(b, step, {
    term: term.args[tokens],
    axis: args[tokens].length - 1,
    sizes,
    index: (token, inside) =>
      indexOf(tokens, new Map([[out[axes.token], token], ...summed(inside)])),
  }, coded);
  const count = product(sizes);
  const vectors = vectorsOf(channels);
  const blocks = channels / (4 * vectors);
  const dims = sizes.map(int);
  low.par("m", bin("mul", bin("div", padded(step), int(ROWS)), int(blocks)), (m) => {
    const t = bin("mul", bin("div", m, int(blocks)), int(ROWS));
    const d = bin("mul", bin("rem", m, int(blocks)), int(4 * vectors));
    const from = bin("mul", t, int(count));
    const sums = multiply(low, {
      rows: ROWS,
      vectors,
      steps: int(count),
      one: (i, k) => load(coded, bin("add", bin("add", from, k), int(i * count))),
      four: (v, k) => {
        const at = [...summed(unravel(k, dims)), [out[last], bin("add", d, int(4 * v))]] as const;
        return low.wide(term.args[map], indexOf(map, new Map(at)), args[map].indexOf(out[last]));
      },
    });
    const to = bin("add", bin("mul", t, int(channels)), d);
    sums.forEach((row, i) =>
      row.forEach((sum, v) => low.store(x, bin("add", to, int(i * channels + 4 * v)), sum))
    );
  });
  const at = (index: readonly Expr[]): Expr =>
    bin("add", bin("mul", bin("sub", index[axes.token], step.first), int(channels)), index[last]);
  low.sources.set(term, {
    at: (index) => load(x, at(index)),
    wide: (index, axis) => axis === last ? load(x, at(index), true) : undefined,
  });
};

/** Memory for the products of so many tokens of a plan, and what fills it. */
export const decoder = (
  b: Builder,
  plan: Plan,
  outer: readonly Expr[],
  tokens: number,
): Decode => {
  const all = (plan.decoded ?? []).map((of) => ({
    of,
    coded: b.local("coded", tokens * product(of.sizes)),
    x: b.local("x", tokens * of.channels),
  }));
  return (step) => {
    all.forEach(({ of }) => b.low.sources.delete(of.term));
    all.forEach(({ of, coded, x }) => make(b, outer, of, coded, x, step));
  };
};

/** The same of a walk over a part, four tokens from token t of it on. */
export const fourDecoder = (b: Builder, plan: Plan, frame: Frame): (t: Expr) => void => {
  if (!plan.decoded?.length) return () => {};
  const decode = decoder(b, plan, frame.outer, AT_ONCE);
  return (t) =>
    decode({
      first: b.low.named("first", bin("add", frame.first, t)),
      count: int(AT_ONCE),
      last: frame.last,
    });
};
