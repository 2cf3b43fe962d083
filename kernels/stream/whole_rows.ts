/**
 * Weights times values of numbers, a whole row of channels after the other: the sums lie in the part.
 *
 * ```text
 * for each row:  part = fade · part + Σ p·shift
 * for one, two or four tokens, as they lie in memory:
 *   for four channels, for each row:  o = part;  o += w[t] · rest[t], token by token;  part = o
 * ```
 * Registers would hold the sums of a few channels only, and values would be read a piece of a row at a time:
 * the processor reads ahead of a walk over whole rows, and not of that. Values of all tokens pass once, so
 * that they need not stay close. With several tokens at a time sums are read and written less often.
 * @module
 */
import { type Arr, bin, type Expr, int, load, madd, un } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import { bytesOf, ROWS_AT_ONCE } from "../../compiler/lower/chunk.ts";
import { longestRun, settled } from "./runs.ts";
import type { Prepared } from "./scales.ts";
import type { Frame, Stream, Sum } from "./shape.ts";
import { eachRow, tilesOf } from "./tokens.ts";

/** Weights of one step: they stay in registers. */
const WEIGHTS_HELD = 8;

/** Bytes of rows that are met in turns: the processor sees one walk in them. */
const WINDOW = 512;

/** Channels that are written out; more are walked in a loop. */
const WRITTEN_OUT = 128;

/** Tokens of a step. */
const tokensOf = (b: Builder, sum: Sum, rows: number): number => {
  const bytes = sum.count * bytesOf(sum.term.args[1], b.low.sources);
  return [4, 2].find((n) => n * rows <= WEIGHTS_HELD && n * bytes <= WINDOW) ?? 1;
};

/** Adds the values of all tokens to the part. */
export const wholeRows = (
  b: Builder,
  frame: Frame,
  stream: Stream,
  sum: Sum,
  ready: Prepared,
  part: Arr,
): void => {
  const { low } = b;
  const { count } = sum;
  const to = (row: number, channel: Expr): Expr =>
    bin("add", bin("add", frame.base(int(row)), channel), int(sum.at));
  // Channels of one group, and of as many as are written out.
  const span = 4 * longestRun(ready.stretch / 4, 1, WRITTEN_OUT / 4);
  /** Every span of channels: written out where they are few. */
  const spans = (each: (channel: Expr) => void): void => {
    if (count > WRITTEN_OUT) {
      low.loop("c", int(0), int(count / span), 1, (c) => each(bin("mul", c, int(span))));
    } else for (let c = 0; c < count; c += span) each(int(c));
  };
  const quads = Array.from({ length: span / 4 }, (_, q) => int(4 * q));
  for (const rows of tilesOf(stream.rows, ROWS_AT_ONCE)) {
    spans((channel) =>
      rows.forEach((r) => {
        const shift = un("splat", ready.shift(int(r), ready.groupOf(channel)));
        for (const q of quads) {
          const at = to(r, bin("add", channel, q));
          low.store(part, at, settled(frame, part, at, int(r), shift));
        }
      })
    );
    const step = (t: Expr, many: number): void => {
      const places = Array.from({ length: many }, (_, k) => bin("add", t, int(k)));
      const tokens = places.map((x) => low.named("token", bin("add", frame.first, x)));
      const known = new Map<Expr, Expr[][][]>();
      /** Weights of a group: by scaled part, token and row. */
      const weightsOf = (group: Expr): Expr[][][] => {
        const made = known.get(group) ??
          ready.scaled.map(({ arr, at }) =>
            places.map((x) =>
              rows.map((r) =>
                low.named("w", un("splat", load(arr, bin("add", at(int(r), group), x))))
              )
            )
          );
        known.set(group, made);
        return made;
      };
      spans((channel) => {
        const w = weightsOf(ready.groupOf(channel));
        for (const q of quads) {
          const here = bin("add", channel, q);
          const values = ready.form.scaled.map(({ rest }) =>
            tokens.map((token, k) => {
              frame.here.t = places[k];
              return eachRow(sum, (row) =>
                low.named(
                  "value",
                  low.wide(rest, frame.value(sum, row, token, here), ready.lastAxis),
                ), rows);
            })
          );
          rows.forEach((r, i) => {
            const all = values.flatMap((byToken, part) =>
              byToken.map((byRow, k) => [w[part][k][i], byRow[i]] as const)
            );
            const before = load(part, to(r, here), true);
            low.store(part, to(r, here), all.reduce((o, [by, x]) => madd(by, x, o), before));
          });
        }
      });
    };
    const many = tokensOf(b, sum, rows.length);
    const whole = bin("mul", bin("div", frame.tokens, int(many)), int(many));
    low.loop("t", int(0), whole, many, (t) => step(t, many));
    if (many > 1) low.loop("t", whole, frame.tokens, 1, (t) => step(t, 1));
  }
};
