/**
 * `stream`: a softmax-weighted fold over tokens, split into chunks that a merge joins. Attention over
 * any composed codec is this kernel: scores and values are expressions over packed words, decoded in
 * registers; no reconstructed K or V exists in memory.
 *
 * ```text
 * a group is one (batch, row, chunk of tokens):
 *   what does not change along tokens is staged          stream/stage.ts    a rotated query, Σ q
 *   scores, weights p = e^(score − m), l = Σ p           stream/scores.ts
 *   o[row] = Σ p · value                                 stream/values.ts
 *   part[chunk] = (o, m, l)
 * merge, in the kernel that uses the result              stream/merge.ts
 * ```
 * Ladder: one token a lane → long products apart, lanes along tokens → 16-bit integer products where
 * the target has them. Not yet: lanes of a GPU spread over tokens in the last loop, threads.
 * @module
 */
import { countOf } from "../dsl/core/shape.ts";
import { num } from "../compiler/ir/expr.ts";
import { Builder, type Skeleton } from "../compiler/kernel.ts";
import { constantSource } from "../compiler/lower/memory.ts";
import { weights } from "./stream/scores.ts";
import { frameOf, streamOf } from "./stream/shape.ts";
import { stage } from "./stream/stage.ts";
import { addValues } from "./stream/values.ts";

/** The skeleton. */
export const streamSkeleton: Skeleton = (plan, context) => {
  const stream = streamOf(plan.roots[0], context);
  const b = new Builder(context);
  const staged = [...plan.axes.keys()];
  staged.forEach((t) => b.low.sources.set(t, constantSource(num(0))));
  b.read([...stream.term.args, ...staged.flatMap((t) => "args" in t ? t.args : [])]);
  const part = b.scratch(stream.scratch, stream.partWords, true);
  const frame = frameOf(b, stream);
  stage(b, plan, frame.outer);
  const weight = weights(b, plan, frame, stream, part);
  addValues(b, frame, stream, weight, part);
  const outer = stream.roles.outer.map(stream.roles.dim);
  return [
    b.finish(context.name, "stream", (sizes) => countOf(outer, sizes) * stream.chunks(sizes)),
  ];
};
