/**
 * Decodes the tokens of a step, once for all rows and queries of the block: `[token][channel]` floats.
 * @module
 */
import type { Term } from "../../../dsl/core/term.ts";
import { type Arr, bin, type Expr, int } from "../../../compiler/ir/expr.ts";
import { type Builder, unravel } from "../../../compiler/kernel.ts";
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

/** Fills a tile up to a multiple of four tokens; beyond the last one of all that one is read again. */
export const decode = (b: Builder, step: Step, from: Decoded, tile: Arr): void => {
  const { low } = b;
  const { term, axis, sizes, index } = from;
  const count = product(sizes);
  const run = RUNS.find((n) => (sizes[sizes.length - 1] ?? 1) % n === 0)!;
  const unit = run % 4 === 0 ? 4 : 1;
  const runs = count / run;
  low.par("d", bin("mul", padded(step), int(runs)), (d) => {
    const [t, c] = [bin("div", d, int(runs)), bin("mul", bin("rem", d, int(runs)), int(run))];
    const token = low.named("token", bin("min", bin("add", step.first, t), step.last));
    const channels = unravel(c, sizes.map(int));
    for (let q = 0; q < run; q += unit) {
      const at = index(
        token,
        channels.map((x, i) => i === channels.length - 1 ? bin("add", x, int(q)) : x),
      );
      low.store(
        tile,
        bin("add", bin("add", bin("mul", t, int(count)), c), int(q)),
        unit === 4 ? low.wide(term, at, axis) : low.at(term, at),
      );
    }
  });
};
