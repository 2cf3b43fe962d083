/**
 * Scores of a chunk and the weights made of them.
 *
 * ```text
 * for each run of tokens: what is the same for all of it (stream/stage.ts)
 * for four tokens: each long product (q·codes)         once a token, four sums at once: stream/products.ts
 * for four tokens: score = what is left of the term    scale, minimum, mask: lanes are tokens
 * m = max score, that of earlier chunks of the part too;  p = e^(score − m), 0 where masked
 * fade = e^(m before − m);  l = fade · l + Σ p
 * ```
 * Two or three rows go together, the first two loops are one, and so are those of p and l: here a group has
 * one lane. Where it has many, they share each loop (stream/lanes.ts).
 * @module
 */
import { MASKED } from "../../dsl/core/monoid.ts";
import { topological } from "../../dsl/core/term.ts";
import {
  type Arr,
  bin,
  type Expr,
  int,
  load,
  madd,
  num,
  select,
  un,
  vec4,
} from "../../compiler/ir/expr.ts";
import type { Builder, Plan } from "../../compiler/kernel.ts";
import { ROWS_AT_ONCE } from "../../compiler/lower/chunk.ts";
import { runOf } from "../../compiler/lower/pace.ts";
import { fourDecoder } from "./decoded.ts";
import { type Frame, padded, type Stream } from "./shape.ts";
import { holdProduct, isInteger, makeProduct, movingOf, productsAt, readsOf } from "./products.ts";
import { showPaced, stagePaced } from "./stage.ts";
import { eachShare, fourTokens, LANES, tilesOf, walk } from "./tokens.ts";

const ZERO = (): Expr => un("splat", num(0));
const HIDDEN = (): Expr => un("splat", num(MASKED));

/** Which of four tokens from t on are in the part. */
const inPart = (frame: Frame, t: Expr): Expr =>
  bin(
    "lt",
    bin("add", un("splat", un("toF32", t)), vec4(LANES.map(num))),
    un("splat", un("toF32", frame.tokens)),
  );

/** Four scores of a row. */
const scoresAt = (
  b: Builder,
  frame: Frame,
  { scores, roles }: Stream,
  row: number,
  t: Expr,
): Expr => {
  const axis = roles.scores.indexOf(roles.token);
  return fourTokens(b, frame, scores, axis, t, (token) => frame.score(int(row), token));
};

/**
 * What scores are taken from: their largest; 0 where all are masked, so that e^(score − m) is 0 of
 * every masked score.
 */
const zeroOf = (largest: Expr): Expr => select(bin("le", largest, num(MASKED)), num(0), largest);

/**
 * Rows that go together. Of integers, two scores of four tokens each fill the registers, three just so;
 * numbers are met fewer tokens at a time.
 */
const SIDE_BY_SIDE = 3;
const sideBySide = (rows: number, integers: boolean): number =>
  !integers ? ROWS_AT_ONCE : rows === SIDE_BY_SIDE ? SIDE_BY_SIDE : 2;

/** The tokens of a chunk run by run, each with what is the same for all of the run. */
const eachRun = (
  b: Builder,
  plan: Plan,
  frame: Frame,
  { chunk }: Stream,
  body: (own: Frame) => void,
): void => {
  const run = runOf(plan.paced);
  const inRun = (own: Frame): void => {
    stagePaced(b, plan, own);
    body(own);
  };
  if (chunk <= run) inRun(frame);
  else eachShare(b, frame, run, inRun);
};

/** Scores, weights, and (m, l) of every row into the part, a few rows at a time; gives the weights. */
export const weights = (
  b: Builder,
  plan: Plan,
  frame: Frame,
  stream: Stream,
  part: Arr,
  fades: Arr,
): Arr => {
  const { low } = b;
  const { chunk, rows, peak } = stream;
  const weight = b.local("score", rows * chunk);
  const movings = movingOf(plan);
  const decode = fourDecoder(b, plan, frame);
  const every = Array.from({ length: rows }, (_, r) => r);
  showPaced(b, plan);
  const reads = readsOf(
    b,
    movings,
    () => every.forEach((r) => scoresAt(b, frame, stream, r, int(0))),
  );
  // What scores read singly, or not at all: values alone ask for it.
  const apart = movings.filter((m) => !reads.get(m)?.length);
  apart.forEach((m) => makeProduct(b, plan, frame, stream, m, decode));
  const together = movings.filter((m) => !apart.includes(m));
  const again = new Set(topological(stream.sums.map((s) => s.term.args[1])));
  const held = together.filter((m) => again.has(m.term))
    .map((m) => holdProduct(b, frame, stream, m));
  const integers = together.some((m) => isInteger(plan, m));
  const tiles = tilesOf(rows, sideBySide(rows, integers));
  const topsOf = (tile: readonly number[]) => tile.map(() => low.mutable("top", HIDDEN()));
  const scored = (tile: readonly number[], own: Frame, tops: ReturnType<typeof topsOf>): void =>
    walk(b, own, 4, (step) => {
      const { t, whole } = step;
      decode(bin("add", own.from, t));
      const scores = (): Expr[] => tile.map((r) => scoresAt(b, own, stream, r, t));
      productsAt(b, plan, own, step, together, held, scores);
      scores().forEach((score, i) => {
        const four = low.named("score", whole ? score : select(inPart(own, t), score, HIDDEN()));
        low.store(weight, bin("add", bin("add", own.from, t), int(tile[i] * chunk)), four);
        tops[i].set(bin("max", four, tops[i].get()));
      });
    });
  // What is made once a run of tokens serves all rows.
  const runs = (plan.paced?.size ?? 0) > 0;
  const all = runs ? tiles.map(topsOf) : [];
  if (runs) {
    eachRun(b, plan, frame, stream, (own) => tiles.forEach((r, i) => scored(r, own, all[i])));
  }
  for (const [i, tile] of tiles.entries()) {
    const tops = runs ? all[i] : topsOf(tile);
    if (!runs) scored(tile, frame, tops);
    const end = (r: number, k: number): Expr => bin("add", frame.base(int(r)), int(peak + k));
    const before = tile.map((r) => low.named("before", load(part, end(r, 0))));
    const largest = tops.map((top, i) =>
      low.named("m", bin("max", un("hmax", top.get()), before[i]))
    );
    const zeros = largest.map((m) => low.named("zero", zeroOf(m)));
    const sums = tile.map(() => low.mutable("sum", ZERO()));
    low.loop("t", int(0), padded(frame, 4), 4, (t) =>
      tile.forEach((r, i) => {
        const at = bin("add", t, int(r * chunk));
        const p = low.named("p", un("exp", bin("sub", load(weight, at, true), zeros[i])));
        low.store(weight, at, p);
        sums[i].set(bin("add", sums[i].get(), p));
      }));
    tile.forEach((r, i) => {
      const fade = low.named("fade", un("exp", bin("sub", before[i], largest[i])));
      low.store(fades, int(r), fade);
      low.store(part, end(r, 0), largest[i]);
      low.store(part, end(r, 1), madd(load(part, end(r, 1)), fade, un("hsum", sums[i].get())));
    });
  }
  held.forEach(({ read }) => read());
  return weight;
};
