/**
 * Walks over the tokens of a part, four tokens of a term at once, and rows that go side by side.
 * @module
 */
import type { Term } from "../../dsl/core/term.ts";
import { bin, type Expr, int, node, vec4 } from "../../compiler/ir/expr.ts";
import type { Builder } from "../../compiler/kernel.ts";
import type { Frame, Sum } from "./shape.ts";

/** Places of a vector's lanes. */
export const LANES: readonly number[] = [0, 1, 2, 3];

/** Some tokens of the part, from token t on. */
export interface Step {
  readonly t: Expr;
  /** Tokens of all; the last one again where the part has fewer. */
  readonly tokens: readonly Expr[];
  /** Are all of them in the part? */
  readonly whole: boolean;
}

const clamped = (frame: Frame, t: Expr): Expr => bin("min", bin("add", frame.first, t), frame.last);

/** Tokens in steps of `many`: whole steps first, whose addresses need no care, then what is left. */
export const walk = (
  b: Builder,
  frame: Frame,
  many: number,
  body: (step: Step) => void,
): void => {
  const whole = bin("mul", bin("div", frame.tokens, int(many)), int(many));
  const from = (t: Expr): Expr[] => Array.from({ length: many }, (_, k) => bin("add", t, int(k)));
  b.low.loop(
    "t",
    int(0),
    whole,
    many,
    (t) => body({ t, tokens: from(t).map((x) => bin("add", frame.first, x)), whole: true }),
  );
  b.low.loop(
    "t",
    whole,
    frame.tokens,
    many,
    (t) => body({ t, tokens: from(t).map((x) => clamped(frame, x)), whole: false }),
  );
};

/** The tokens of a part, so many at a time: each share is a part of its own. */
export const eachShare = (
  b: Builder,
  frame: Frame,
  many: number,
  body: (own: Frame) => void,
): void => {
  const { low } = b;
  low.loop("share", int(0), frame.tokens, many, (from) => {
    const rest = bin("sub", frame.tokens, from);
    body({
      ...frame,
      first: low.named("first", bin("add", frame.first, from)),
      tokens: low.named("many", node("min", "i32", [int(many), rest], { lo: 0, hi: many })),
      from,
    });
  });
};

/** Four tokens of a term from token t of the part; the last token of all is read again beyond it. */
export const fourTokens = (
  b: Builder,
  frame: Frame,
  term: Term,
  axis: number,
  t: Expr,
  index: (token: Expr) => Expr[],
): Expr => {
  const { low } = b;
  const { here, first, from } = frame;
  here.t = bin("add", from, t);
  low.loose = true;
  const wide = low.tryWide(term, index(bin("add", first, t)), axis);
  low.loose = false;
  return wide ?? vec4(LANES.map((k) => {
    here.t = bin("add", bin("add", from, t), int(k));
    return low.at(term, index(clamped(frame, bin("add", t, int(k)))));
  }));
};

/** Rows side by side: as many of each set as `most`, the sets as even as can be. */
export const tilesOf = (rows: number, most: number): number[][] => {
  const tiles = Math.ceil(rows / most);
  return Array.from({ length: tiles }, (_, i) => {
    const [from, to] = [i, i + 1].map((k) => Math.floor(k * rows / tiles));
    return Array.from({ length: to - from }, (_, k) => from + k);
  });
};

/** One value a row; rows that the values of a sum do not tell apart share it. */
export const eachRow = <A>(
  { like }: Sum,
  make: (row: Expr) => A,
  rows: readonly number[] = like.map((_, r) => r),
): A[] => {
  const made = new Map<number, A>();
  return rows.map((r) => {
    const known = made.get(like[r]);
    const value = known ?? make(int(r));
    if (known === undefined) made.set(like[r], value);
    return value;
  });
};
