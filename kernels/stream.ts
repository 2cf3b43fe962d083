/**
 * `stream`: softmax-weighted folds over tokens, split into chunks that a merge joins. Attention over
 * any composed codec is this kernel: scores and values are expressions over packed words, decoded in
 * registers; no reconstructed K or V exists in memory. Folds over the same scores are made together:
 * an output and what bounds its error weigh several values with the same p.
 *
 * ```text
 * a group is one (batch, row) and a few parts of its tokens:
 *   what does not change along tokens is staged          stream/stage.ts    a rotated query, Σ q
 *   for each part, for each chunk of it:
 *   scores, weights p = e^(score − m), l = Σ p           stream/scores.ts
 *   fade = e^(m before − m)
 *   for each fold: o[row] = fade · o[row] + Σ p · value  stream/values.ts
 *   part = (o, o', …, m, l)
 * merge, in the kernel that uses the result              stream/merge.ts
 * ```
 * Ladder: one token a lane → long products apart, lanes along tokens → 16-bit integer products where
 * the target has them; where lanes run side by side, they share each of these loops (stream/lanes.ts).
 * @module
 */
import { MASKED } from "../dsl/core/monoid.ts";
import { bin, type Expr, int, load, num, un } from "../compiler/ir/expr.ts";
import { Builder, type Skeleton } from "../compiler/kernel.ts";
import { constantSource } from "../compiler/lower/memory.ts";
import { laneStream } from "./stream/lanes.ts";
import { weights } from "./stream/scores.ts";
import { eachPiece, operandsOf, piecesOf } from "./stream/pieces.ts";
import {
  type Frame,
  frameOf,
  groupOf,
  groupsOf,
  partsExpr,
  spanOf,
  streamOf,
  walkedExpr,
} from "./stream/shape.ts";
import { stage } from "./stream/stage.ts";
import { tiledStream } from "./stream/tile.ts";
import { addValues } from "./stream/values.ts";

/** The skeleton. */
export const streamSkeleton: Skeleton = (plan, context) => {
  if (plan.block !== undefined) return tiledStream(plan, context);
  if (!context.target.serial) return [laneStream(plan, context)];
  const stream = streamOf(plan, context);
  const b = new Builder(context);
  const staged = [...plan.axes.keys()];
  staged.forEach((t) => b.low.sources.set(t, constantSource(num(0))));
  const pieces = piecesOf(plan, context);
  b.read([...operandsOf(pieces), ...staged.flatMap((t) => "args" in t ? t.args : [])]);
  const part = b.scratch(stream.scratch, stream.partWords, true);
  const span = spanOf(context);
  const { outer, flat, from, to } = groupOf(b, stream, span);
  stage(b, plan, outer);
  const { rows, part: width, peak } = stream;
  const each = walkedExpr(b, stream);
  const fades = b.local("fade", rows);
  b.low.loop("part", from, to, 1, (nth) => {
    const segment = bin("add", bin("mul", flat, partsExpr(b, stream)), nth);
    const start = b.low.named("start", bin("mul", segment, int(rows * width)));
    const base = (row: Expr): Expr => bin("add", start, bin("mul", row, int(width)));
    b.low.par(
      "p",
      int(rows * width / 4),
      (p) => b.low.store(part, bin("add", start, bin("mul", p, int(4))), un("splat", num(0))),
    );
    b.low.par(
      "r",
      int(rows),
      (r) => b.low.store(part, bin("add", base(r), int(peak)), num(MASKED)),
    );
    const first = bin("mul", nth, each);
    eachPiece(
      b,
      pieces,
      first,
      bin("add", first, each),
      ({ plan, stream }, start, end) =>
        b.low.loop("chunk", start, end, 1, (at) => {
          const frame: Frame = {
            ...frameOf(b, stream, outer, at),
            base,
            lanes: 1,
            fade: (row) => load(fades, row),
          };
          const weight = weights(b, plan, frame, stream, part, fades);
          stream.sums.forEach((sum) => addValues(b, frame, stream, sum, weight, part));
        }),
    );
  });
  return [b.finish(context.name, "stream", groupsOf(stream, span))];
};
