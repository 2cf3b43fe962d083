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
import { AT_ONCE, codedCount, type Decoded, madeCount, ownSizes } from "../../compiler/decoded.ts";
import { linear } from "../../compiler/lower/memory.ts";
import { product } from "../../compiler/lower/tile.ts";
import { multiply, ROWS, vectorsOf } from "../micro.ts";
import type { Frame } from "./shape.ts";
import { decode, labelled, operandAt } from "./tile/decode.ts";
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
  const { term, axes, tokens, gone, sizes, heads, headSizes, own, channels } = of;
  const { args, out } = term.labels;
  const [map, last] = [1 - tokens, out.length - 1];
  const indexOf = (side: number, at: readonly (readonly [string, Expr])[]): Expr[] =>
    operandAt(term, axes, outer, side, at);
  const [count, coding, width] = [product(sizes), codedCount(of), madeCount(of)];
  decode(b, step, {
    term: term.args[tokens],
    axis: args[tokens].length - 1,
    sizes: [...ownSizes(of), ...sizes],
    index: (token, inside) =>
      indexOf(tokens, [[out[axes.token], token], ...labelled([...own, ...gone], inside)]),
  }, coded);
  const vectors = vectorsOf(channels);
  const blocks = channels / (4 * vectors);
  const every = width / channels * blocks;
  low.par("m", bin("mul", bin("div", padded(step), int(ROWS)), int(every)), (m) => {
    const t = bin("mul", bin("div", m, int(every)), int(ROWS));
    const rest = bin("rem", m, int(every));
    const head = bin("div", rest, int(blocks));
    const d = bin("mul", bin("rem", rest, int(blocks)), int(4 * vectors));
    const inHeads = unravel(head, headSizes.map(int));
    const ofOwn = linear(
      ownSizes(of).map(int),
      inHeads.filter((_, i) => own.includes(heads[i])),
    );
    const from = bin("add", bin("mul", t, int(coding)), bin("mul", ofOwn, int(count)));
    const sums = multiply(low, {
      rows: ROWS,
      vectors,
      steps: int(count),
      one: (i, k) => load(coded, bin("add", bin("add", from, k), int(i * coding))),
      four: (v, k) => {
        const summed = labelled(gone, unravel(k, sizes.map(int)));
        const channel = [out[last], bin("add", d, int(4 * v))] as const;
        const index = indexOf(map, [...labelled(heads, inHeads), ...summed, channel]);
        return low.wide(term.args[map], index, args[map].indexOf(out[last]));
      },
    });
    const to = bin(
      "add",
      bin("add", bin("mul", t, int(width)), bin("mul", head, int(channels))),
      d,
    );
    sums.forEach((row, i) =>
      row.forEach((sum, v) => low.store(x, bin("add", to, int(i * width + 4 * v)), sum))
    );
  });
  const heldAxes = axes.held.slice(0, -1);
  const at = (index: readonly Expr[]): Expr => {
    const token = bin("mul", bin("sub", index[axes.token], step.first), int(width));
    const head = linear(headSizes.map(int), heldAxes.map((a) => index[a]));
    return bin("add", bin("add", token, bin("mul", head, int(channels))), index[last]);
  };
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
    coded: b.local("coded", tokens * codedCount(of)),
    x: b.local("x", tokens * madeCount(of)),
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
