/**
 * A streaming fold for a block of queries: what a step of tokens decodes to serves all of them.
 *
 * ```text
 * a group is one batch, a block of queries of every row, and a few parts of their tokens:
 *   what does not change along tokens is staged         tile/stage.ts     [k][query]
 *   for each part, for each step of tokens that is not masked altogether (tile/mask.ts):
 *     tokens are decoded, and multiplied with queries   tile/products.ts  [token][query]
 *     scores, weights, the running m and l              tile/scores.ts
 *     values are decoded, and added up                  tile/sums.ts      o[channel][query]
 *   part = (o, o', …, m, l) of each row and query
 * ```
 * Against one query at a time (`queries: 1` of the schedule): a cache is decoded once a block, and its
 * products are matrices that registers reuse. Not yet: products as 16-bit integers.
 * @module
 */
import { MASKED } from "../../dsl/core/monoid.ts";
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
import { Builder, type Context, type Plan, type Step as Kernel } from "../../compiler/kernel.ts";
import { constantSource } from "../../compiler/lower/memory.ts";
import { tileFloats } from "../../compiler/lower/tile.ts";
import { eachPiece, operandsOf, piecesOf } from "./pieces.ts";
import { chunksExpr, groupOf, groupsOf, spanOf, type Stream, streamOf } from "./shape.ts";
import { LANES } from "./tokens.ts";
import { decoder } from "./decoded.ts";
import { type Step, type Sums, type Tile, tileOf } from "./tile/frame.ts";
import { deadIn } from "./tile/mask.ts";
import { tokensOf } from "./tile/products.ts";
import { weigh } from "./tile/scores.ts";
import { stageTile } from "./tile/stage.ts";
import { addStep } from "./tile/sums.ts";

/** Fills an array of the group, four at a time. */
const fill = (b: Builder, arr: Arr, value: number): void =>
  b.low.par(
    "z",
    int(arr.length / 4),
    (z) => b.low.store(arr, bin("mul", z, int(4)), un("splat", num(value))),
  );

/** Are the tokens from one on masked for every row and query of the block? */
const deadFrom = (b: Builder, tile: Tile, step: Step, from: number): Expr | undefined => {
  const { stream: { roles, scores }, label } = tile;
  const last = (first: Expr, count: Expr): Expr => bin("sub", bin("add", first, count), int(1));
  const ends = (l: string): readonly [Expr, Expr] => {
    if (l === roles.token) {
      return [bin("add", step.first, int(from)), last(step.first, step.count)];
    }
    if (l === label) return [tile.first, last(tile.first, tile.count)];
    if (roles.rows.includes(l)) return [int(0), int((roles.dim(l) as number) - 1)];
    const outer = tile.outer[roles.outer.indexOf(l)];
    return [outer, outer];
  };
  const all = roles.scores.map(ends);
  return deadIn(b.low, scores, { lo: all.map(([lo]) => lo), hi: all.map(([, hi]) => hi) });
};

/** Tokens that a step is shortened by at a time. */
const GRAIN = 16;

/** The tokens of a step without those at its end that are masked for the whole block: 0 where all are. */
const liveTokens = (b: Builder, tile: Tile, step: Step): Expr | undefined => {
  if (deadFrom(b, tile, step, 0) === undefined) return undefined;
  const { low } = b;
  const count = low.mutable("live", step.count);
  for (let from = tile.tokens - 1; from >= 0; from--) {
    if (from % GRAIN !== 0) continue;
    const dead = bin("le", step.count, int(from));
    count.set(
      select(
        bin("or", dead, deadFrom(b, tile, step, from)!),
        bin("min", count.get(), int(from)),
        count.get(),
      ),
    );
  }
  return low.named("live", count.get());
};

/** Stores the sums of a part, row by row. */
const storePart = (b: Builder, stream: Stream, sums: Sums, segment: Expr, part: Arr): void => {
  const { low } = b;
  const { rows, peak, part: width } = stream;
  low.par("r", int(rows), (r) => {
    const base = low.named(
      "base",
      bin("mul", bin("add", bin("mul", segment, int(rows)), r), int(width)),
    );
    stream.sums.forEach(({ at, count, inner }, i) => {
      const unit = inner % 4 === 0 ? 4 : 1;
      low.loop("c", int(0), int(count), unit, (c) => {
        const value = (k: number): Expr =>
          load(sums.o[i], bin("add", bin("add", bin("mul", c, int(rows)), r), int(k * rows)));
        const to = bin("add", bin("add", base, c), int(at));
        low.store(part, to, unit === 4 ? vec4(LANES.map(value)) : value(0));
      });
    });
    low.store(part, bin("add", base, int(peak)), load(sums.m, r));
    low.store(part, bin("add", base, int(peak + 1)), load(sums.l, r));
  });
};

/** The kernel of a plan with a block of queries. */
export const tiledStream = (plan: Plan, context: Context): Kernel[] => {
  const stream = streamOf(plan, context);
  const b = new Builder(context);
  const { low } = b;
  const staged = [...plan.axes.keys()];
  const pieces = piecesOf(plan, context);
  staged.forEach((t) => b.isLeaf(t) || low.sources.set(t, constantSource(num(0))));
  b.read([
    ...operandsOf(pieces),
    ...staged.flatMap((t) => b.isLeaf(t) ? [t] : "args" in t ? t.args : []),
  ]);
  const part = b.scratch(stream.scratch, stream.partWords, true);
  const span = spanOf(context);
  const { outer, flat, from, to } = groupOf(b, stream, span);
  const tile = tileOf(b, plan, stream, outer);
  stageTile(b, plan, tile);

  const { cells, tokens } = tile;
  const sums: Sums = {
    o: stream.sums.map(({ count }) => b.local("o", count * cells)),
    m: b.local("m", cells),
    l: b.local("l", cells),
    factor: b.local("factor", cells),
  };
  const chunks = low.named("parts", chunksExpr(b, stream));
  const rows = bin("mul", flat, chunks);
  eachPiece(
    b,
    pieces,
    from,
    to,
    ({ plan, stream }, begin, stop, before) => {
      const own: Tile = { ...tile, stream };
      const all = b.size(stream.roles.dim(stream.roles.token));
      const weight = b.local("weight", tokens * cells);
      const decoded = b.local("tile", tokens * tileFloats(plan));
      const decode = decoder(b, plan, tile.outer, tokens);
      low.loop("part", begin, stop, 1, (at) => {
        [...sums.o, sums.l].forEach((arr) => fill(b, arr, 0));
        fill(b, sums.m, MASKED);
        const start = low.named("start", bin("mul", at, int(stream.chunk)));
        const end = low.named("end", bin("min", bin("add", start, int(stream.chunk)), all));
        low.loop("step", start, end, tokens, (first) => {
          const step: Step = {
            first,
            count: low.named("count", bin("min", int(tokens), bin("sub", end, first))),
            last: bin("sub", all, int(1)),
          };
          const walk = (step: Step): void => {
            decode(step);
            tokensOf(b, plan, own, step, decoded);
            weigh(b, own, step, sums, weight);
            addStep(b, own, step, sums, weight, decoded);
          };
          const live = liveTokens(b, own, step);
          if (live === undefined) return walk(step);
          // The whole group decides alike: a loop of one round, since lanes go apart under an `if`.
          low.loop(
            "some",
            int(0),
            bin("min", live, int(1)),
            1,
            () => walk({ ...step, count: live }),
          );
        });
        storePart(b, stream, sums, bin("add", rows, bin("add", before, at)), part);
      });
    },
  );
  return [b.finish(context.name, "stream", groupsOf(stream, span))];
};
