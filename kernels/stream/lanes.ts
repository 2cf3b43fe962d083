/**
 * The stream where lanes of a group run side by side: each loop over tokens is shared by all lanes, and
 * what they found is brought together in group memory.
 *
 * ```text
 * a group is one (batch, row) and up to eight chunks of its tokens; it adds to one part in its memory
 *   for each chunk:
 *   a token a lane:   score, the largest of its own                    stream/lane_scores.ts
 *   m = max;  fade = e^(m before − m);  a token a lane: p = e^(score − m), Σ p
 *   four tokens a lane: w = p·scale, Σ p·shift                         stream/scales.ts
 *   a word a lane, several tokens at once: o[row] += w · rest
 *   part = part · fade + Σ over lanes of o
 * part[group] = (o, o', …, m, l)
 * ```
 * No decoded tile is held; keys are read a row a lane, values a word a lane
 * (docs/decisions/0006-lanes.md).
 * @module
 */
import { MASKED } from "../../dsl/core/monoid.ts";
import {
  type Arr,
  bin,
  type Expr,
  int,
  load,
  madd,
  num,
  un,
  variable,
} from "../../compiler/ir/expr.ts";
import { GROUP } from "../../compiler/ir/stmt.ts";
import { Builder, type Context, type Plan, type Step } from "../../compiler/kernel.ts";
import { spreadOf, sumsOf } from "../../compiler/lower/lane_chunk.ts";
import { constantSource } from "../../compiler/lower/memory.ts";
import { runsAlongTokens } from "../../compiler/lower/roles.ts";
import { laneWeights } from "./lane_scores.ts";
import { settled } from "./runs.ts";
import { prepare } from "./scales.ts";
import { eachPiece, operandsOf, piecesOf } from "./pieces.ts";
import {
  type Frame,
  frameOf,
  memberOf,
  partsExpr,
  type Stream,
  streamOf,
  type Sum,
  walkedExpr,
} from "./shape.ts";
import { stage } from "./stage.ts";
import { eachRow } from "./tokens.ts";
import { steadyRuns, tokenRuns } from "./values.ts";

/** Weights times values of a chunk, a word a lane. */
const laneRuns = (
  b: Builder,
  context: Context,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  weight: Arr,
  sums: Arr,
  part: Arr,
): void => {
  const { low } = b;
  const { rows } = stream;
  const { count } = sum;
  const ready = prepare(b, frame, stream, sum, weight);
  if (ready.form.scaled.length === 0) return steadyRuns(b, frame, stream, sum, ready, part);
  const { quads, stride, units, walks } = spreadOf(
    sum.term.args[1],
    rows,
    count,
    ready.stretch,
    frame.lanes,
    context.target.groupFloats,
  );
  const channelOf = (unit: Expr, k: number): Expr => {
    const [block, word] = [bin("div", unit, int(stride / 4)), bin("rem", unit, int(stride / 4))];
    const start = bin("add", bin("mul", block, int(stride * quads)), bin("mul", word, int(4)));
    return bin("add", start, int(k * stride));
  };
  const alone = walks === 1;
  low.par("u", int(units * walks), (item) => {
    const [walk, unit] = [bin("div", item, int(units)), bin("rem", item, int(units))];
    const channels = Array.from({ length: quads }, (_, k) => channelOf(unit, k));
    const group = ready.groupOf(channels[0]);
    const cells = sum.like.map(() => channels.map(() => low.mutable("o", un("splat", num(0)))));
    low.loop("t", walk, frame.tokens, walks, (t) => {
      const token = low.named("token", bin("add", frame.first, t));
      frame.here.t = t;
      ready.form.scaled.forEach(({ rest }, k) => {
        const { arr, at } = ready.scaled[k];
        const w = cells.map((_, r) => low.named("w", load(arr, bin("add", at(int(r), group), t))));
        channels.forEach((channel, q) => {
          const four = eachRow(
            sum,
            (row): Expr => low.wide(rest, frame.value(sum, row, token, channel), ready.lastAxis),
          );
          cells.forEach((row, r) => row[q].set(madd(w[r], four[r], row[q].get())));
        });
      });
    });
    cells.forEach((row, r) =>
      row.forEach((cell, q) => {
        if (!alone) {
          const place = bin("mul", bin("add", int(r * walks), walk), int(count));
          low.store(sums, bin("add", place, channels[q]), cell.get());
          return;
        }
        const at = bin("add", bin("add", frame.base(int(r)), channels[q]), int(sum.at));
        const total = bin("add", cell.get(), ready.shift(int(r), group));
        low.store(part, at, settled(frame, part, at, int(r), total));
      })
    );
  });
  if (alone) return;
  low.par("g", int(rows * count / 4), (g) => {
    const row = bin("div", g, int(count / 4));
    const channel = bin("mul", bin("rem", g, int(count / 4)), int(4));
    const total = low.mutable("o", un("splat", num(0)));
    low.loop("w", int(0), int(walks), 1, (w) => {
      const place = bin("mul", bin("add", bin("mul", row, int(walks)), w), int(count));
      total.set(bin("add", total.get(), load(sums, bin("add", place, channel), true)));
    });
    const at = bin("add", bin("add", frame.base(row), channel), int(sum.at));
    const all = bin("add", total.get(), ready.shift(row, ready.groupOf(channel)));
    low.store(part, at, settled(frame, part, at, row, all));
  });
};

/** The kernel of a stream for lanes that run side by side. */
export const laneStream = (plan: Plan, context: Context): Step => {
  const stream = streamOf(plan, context);
  const { rows, part: width, peak } = stream;
  const { lanes } = context.schedule;
  const b = new Builder(context);
  const { low } = b;
  const staged = [...plan.axes.keys()];
  staged.forEach((t) => low.sources.set(t, constantSource(num(0))));
  const pieces = piecesOf(plan, context);
  b.read([...operandsOf(pieces), ...staged.flatMap((t) => "args" in t ? t.args : [])]);
  const out = b.scratch(stream.scratch, stream.partWords, true);
  const { outer, nth } = memberOf(b, stream, partsExpr(b, stream));
  const each = walkedExpr(b, stream);
  stage(b, plan, outer);
  const part = b.local("part", rows * width);
  const fades = b.local("fade", rows);
  const room = Math.max(
    ...pieces.map(({ stream: { roles } }) =>
      sumsOf(roles.members, rows, lanes, context.target.groupFloats)
    ),
  );
  const sums = b.local("sums", Math.max(4, room));
  low.par(
    "p",
    int(rows * width / 4),
    (p) => low.store(part, bin("mul", p, int(4)), un("splat", num(0))),
  );
  low.par(
    "r",
    int(rows),
    (r) => low.store(part, bin("add", bin("mul", r, int(width)), int(peak)), num(MASKED)),
  );
  const from = bin("mul", nth, each);
  eachPiece(
    b,
    pieces,
    from,
    bin("add", from, each),
    ({ plan, stream }, start, end) =>
      low.loop("chunk", start, end, 1, (at) => {
        const frame: Frame = {
          ...frameOf(b, stream, outer, at),
          base: (row) => bin("mul", row, int(width)),
          lanes,
          fade: (row) => load(fades, row),
        };
        const weight = laneWeights(b, plan, frame, stream, part, fades);
        stream.sums.forEach((sum) => {
          if (!runsAlongTokens(sum)) laneRuns(b, context, frame, stream, sum, weight, sums, part);
          else tokenRuns(b, frame, stream, sum, prepare(b, frame, stream, sum, weight), part);
        });
      }),
  );
  const base = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(rows * width));
  low.par("p", int(rows * width / 4), (p) => {
    const at = bin("mul", p, int(4));
    low.store(out, bin("add", base, at), load(part, at, true));
  });
  return b.finish(
    context.name,
    "stream",
    (sizes) => stream.groups(sizes) * stream.parts(sizes),
  );
};
