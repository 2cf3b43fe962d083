/**
 * `stream`: softmax-weighted folds over tokens, split into chunks that a merge joins. Attention over
 * any composed codec is this kernel: scores and values are expressions over packed words, decoded in
 * registers; no reconstructed K or V exists in memory. Folds over the same scores are made together:
 * an output and what bounds its error weigh several values with the same p.
 *
 * ```text
 * a group is one (batch, row) and a few parts of its tokens:
 *   what does not change along tokens is staged          stream/stage.ts    a rotated query, Σ q
 *   for each part:
 *   scores, weights p = e^(score − m), l = Σ p           stream/scores.ts
 *   for each fold: o[row] = Σ p · value                  stream/values.ts
 *   part[chunk] = (o, o', …, m, l)
 * merge, in the kernel that uses the result              stream/merge.ts
 * ```
 * Ladder: one token a lane → long products apart, lanes along tokens → 16-bit integer products where
 * the target has them; where lanes run side by side, they share each of these loops (stream/lanes.ts).
 * @module
 */
import { bin, int, num } from "../compiler/ir/expr.ts";
import { Builder, type Skeleton } from "../compiler/kernel.ts";
import { constantSource } from "../compiler/lower/memory.ts";
import { laneStream } from "./stream/lanes.ts";
import { weights } from "./stream/scores.ts";
import { eachPiece, operandsOf, piecesOf } from "./stream/pieces.ts";
import { chunksExpr, frameOf, groupOf, groupsOf, spanOf, streamOf } from "./stream/shape.ts";
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
  const { outer, flat, part: from } = groupOf(b, stream, span);
  stage(b, plan, outer);
  const rows = bin("mul", flat, chunksExpr(b, stream));
  eachPiece(
    b,
    pieces,
    from,
    bin("add", from, int(span)),
    (piece, start, end, before) =>
      b.low.loop("part", start, end, 1, (at) => {
        const segment = bin("add", rows, bin("add", before, at));
        const frame = frameOf(b, piece.stream, outer, at, segment);
        const weight = weights(b, piece.plan, frame, piece.stream, part);
        piece.stream.sums.forEach((sum) => addValues(b, frame, piece.stream, sum, weight, part));
      }),
  );
  return [b.finish(context.name, "stream", groupsOf(stream, span))];
};
