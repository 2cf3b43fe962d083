/**
 * Decodes the tokens of a step, once for all rows and queries of the block: `[token][channel]` floats.
 * @module
 */
import type { Term, TermOf } from "../../../dsl/core/term.ts";
import { type Arr, bin, type Expr, int } from "../../../compiler/ir/expr.ts";
import { type Builder, unravel } from "../../../compiler/kernel.ts";
import type { HeldAxes } from "../../../compiler/lower/row.ts";
import { product } from "../../../compiler/lower/tile.ts";
import { padded, type Step } from "./frame.ts";

/** Channels that are decoded in one go: whole vectors of packed codes. */
const RUNS = [64, 32, 16, 8, 4, 1];

/** What is decoded: a term, the axis its last channels run along, and the sizes of its channels. */
export interface Decoded {
  readonly term: Term;
  readonly axis: number;
  readonly sizes: readonly number[];
  readonly index: (token: Expr, channels: readonly Expr[]) => Expr[];
}

/** Labels and where each is. */
export const labelled = (labels: readonly string[], at: readonly Expr[]): [string, Expr][] =>
  labels.map((l, i) => [l, at[i]]);

/** The index of an operand of a product from its labels; what is not given is what the group works on. */
export const operandAt = (
  term: TermOf<"contract">,
  { rowOf }: HeldAxes,
  outer: readonly Expr[],
  side: number,
  at: readonly (readonly [string, Expr])[],
): Expr[] => {
  const [known, { args, out }] = [new Map(at), term.labels];
  return args[side].map((l) => known.get(l) ?? outer[rowOf[out.indexOf(l)]!]);
};

/** Fills a tile up to a multiple of four tokens; beyond the last one of all that one is read again. */
export const decode = (b: Builder, step: Step, from: Decoded, tile: Arr): void => {
  const { low } = b;
  const { term, axis, sizes, index } = from;
  const count = product(sizes);
  const inner = sizes[sizes.length - 1] ?? 1;
  const run = RUNS.find((n) => count % n === 0 && (inner % n === 0 || n % inner === 0))!;
  const unit = inner % 4 === 0 ? 4 : 1;
  const runs = count / run;
  const dims = sizes.map(int);
  // A run within the last axis stays in it: known offsets are added to it, and taken apart no more.
  const channelsAt = (c: Expr, q: number): Expr[] =>
    inner % run === 0
      ? unravel(c, dims).map((x, i) => i === dims.length - 1 ? bin("add", x, int(q)) : x)
      : unravel(bin("add", c, int(q)), dims);
  low.par("d", bin("mul", padded(step), int(runs)), (d) => {
    const [t, c] = [bin("div", d, int(runs)), bin("mul", bin("rem", d, int(runs)), int(run))];
    const token = low.named("token", bin("min", bin("add", step.first, t), step.last));
    for (let q = 0; q < run; q += unit) {
      const at = index(token, channelsAt(c, q));
      low.store(
        tile,
        bin("add", bin("add", bin("mul", t, int(count)), c), int(q)),
        unit === 4 ? low.wide(term, at, axis) : low.at(term, at),
      );
    }
  });
};
