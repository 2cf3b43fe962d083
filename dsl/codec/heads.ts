/**
 * Joined heads, stored head by head: a part that has its own channels for each head lies as heads do, so that
 * attention of one head reads it front to back.
 *
 * ```text
 * a codec of [tokens, heads·channels]       what is stored of it
 * codes [tokens, heads·channels]            [heads, tokens, channels]    head h of what is decoded is made of these alone
 * scale [tokens]                            [tokens]                     all heads share it
 * coefficients of a basis of all heads      as they are                  every head is made of all of them
 * ```
 *
 * Joining says what is looked at together; this is an order of memory alone, the same values in as many bits.
 * Which parts have heads is read off the term that decodes them. Parts without tokens, and those whose share of
 * a head fills no whole words, stay as they are.
 * @module
 */
import { input, permute, reshape } from "../core/build.ts";
import { rangeDim } from "../core/dims.ts";
import { DTYPES } from "../core/dtype.ts";
import { regroups } from "../core/shape.ts";
import {
  type Dim,
  type Labels,
  read,
  type Reading,
  type Shape,
  type Term,
  topological,
} from "../core/term.ts";
import type { Parts } from "./parts.ts";

/** The axis of a term whose equal shares, one a head, are each made of that head's share of a part. */
type Axis =
  | number
  /** Nothing of the part is in it. */
  | "none"
  /** Shares of other heads are in it as well, or no axis is theirs. */
  | "mixed";

type Of = (term: Term) => Axis;

/** The axis that all have in common. */
const common = (found: readonly Axis[]): Axis => {
  const [one = "none", ...more] = new Set(found.filter((a) => a !== "none"));
  return more.length === 0 ? one : "mixed";
};

const moved = (axis: Axis, to: (axis: number) => number): Axis => {
  const at = typeof axis === "number" ? to(axis) : axis;
  return at === -1 ? "mixed" : at;
};

const labelled = ({ args, out }: Labels, terms: readonly Term[], of: Of): Axis =>
  common(terms.map((t, i) => moved(of(t), (a) => out.indexOf(args[i][a]))));

/** Where the axis is outermost of what is regrouped, the outermost of the result has the shares, if it has as many. */
const regrouped = (from: Shape, to: Shape, heads: number) => (axis: number): number => {
  const own = regroups(from, to).find((g) => g.from[0] <= axis && axis < g.from[1])!;
  if (from.slice(own.from[0], axis).some((d) => d !== 1)) return -1;
  const at = to.findIndex((d, i) => own.to[0] <= i && i < own.to[1] && d !== 1);
  return at >= 0 && typeof to[at] === "number" && to[at] % heads === 0 ? at : -1;
};

const AXES: Reading<[of: Of, heads: number], Axis> = {
  input: () => "none",
  constant: () => "none",
  table: () => "none",
  iota: () => "none",
  map: (t, of) => common(t.args.map(of)),
  cast: (t, of) => of(t.args[0]),
  reshape: (t, of, heads) => moved(of(t.args[0]), regrouped(t.args[0].shape, t.shape, heads)),
  permute: (t, of) => moved(of(t.args[0]), (a) => t.axes.indexOf(a)),
  broadcast: (t, of) => moved(of(t.args[0]), (a) => t.axes[a]),
  slice: (t, of) => moved(of(t.args[0]), (a) => a === t.axis ? -1 : a),
  concat: (t, of) => moved(common(t.args.map(of)), (a) => a === t.axis ? -1 : a),
  gather: ({ args: [table, index], batch = 0 }, of) => {
    const chosen = (a: number): number =>
      a === batch ? -1 : a < batch ? a : a + index.shape.length - batch - 1;
    return common([moved(of(table), chosen), of(index)]);
  },
  contract: (t, of) => labelled(t.labels, t.args, of),
  fold: (t, of) =>
    t.monoid === "gram" ? moved(common(t.args.map(of)), () => -1) : labelled(t.labels, t.args, of),
  routine: (t, of) => moved(common(t.args.map(of)), () => -1),
};

/** Has the last axis of a part a share of each head, of which alone that head's share of the last axis of `decoded` is made? */
const hasHeads = (part: Term, decoded: Term, heads: number): boolean => {
  const found = new Map<Term, Axis>([[part, part.shape.length - 1]]);
  for (const t of topological([decoded])) {
    if (t !== part) found.set(t, read(AXES, t, (arg) => found.get(arg)!, heads));
  }
  return found.get(decoded) === decoded.shape.length - 1;
};

/** Parts of a codec of joined heads, as they are stored and as the codec has them. */
export interface ByHead {
  /** Parts as they are stored. */
  readonly apart: (parts: Parts) => Parts;
  /** Parts as the codec has them. */
  readonly joined: (parts: Parts) => Parts;
}

const split = (part: Term, heads: number): Term => {
  const [n, ...lead] = [...part.shape].reverse();
  const axes = lead.map((_, a) => a);
  return permute(
    reshape(part, [...lead.reverse(), heads, n as number / heads]),
    [axes.length, ...axes, axes.length + 1],
  );
};

const joined = (part: Term): Term => {
  const [heads, ...rest] = part.shape;
  const axes = rest.slice(0, -1).map((_, a) => a + 1);
  return reshape(
    permute(part, [...axes, 0, axes.length + 1]),
    [...rest.slice(0, -1), heads as number * (rest[axes.length] as number)],
  );
};

/** What a codec of joined heads makes of tokens, and the tokens of that. */
interface Joined {
  readonly encode: (x: Term) => Parts;
  readonly decode: (parts: Parts, shape: Shape) => Term;
}

/** Which parts of `[tokens, heads·channels]` are stored head by head. */
export const byHeads = (
  { encode, decode }: Joined,
  heads: number,
  tokens: Dim,
  channels: number,
): ByHead => {
  // Parts have tokens where those have a name: whole groups of as many as there are, if that is known.
  const named = typeof tokens === "string"
    ? tokens
    : rangeDim("tokens", { start: 0 }, { start: 0, group: tokens });
  const shape: Shape = [named, heads * channels];
  const whole = ({ shape, dtype }: Term): boolean => {
    const n = shape[shape.length - 1];
    return heads > 1 && typeof n === "number" && n % heads === 0 &&
      n / heads * DTYPES[dtype].bits % 32 === 0;
  };
  const parts = Object.entries(encode(input("x", shape, "f32"))).map(([name, t]) =>
    [name, input(name, t.shape, t.dtype)] as const
  );
  const decoded = decode(Object.fromEntries(parts), shape);
  const ranks = new Map(
    parts.filter(([, t]) =>
      t.shape.length > 1 && t.shape.some((d) => typeof d === "string") && whole(t) &&
      hasHeads(t, decoded, heads)
    ).map(([name, t]) => [name, t.shape.length]),
  );
  const each = (of: Parts, to: (part: Term, rank: number | undefined) => Term): Parts =>
    Object.fromEntries(Object.entries(of).map(([name, t]) => [name, to(t, ranks.get(name))]));
  return {
    apart: (of) => each(of, (t, rank) => rank === t.shape.length && whole(t) ? split(t, heads) : t),
    joined: (of) => each(of, (t, rank) => rank === t.shape.length - 1 ? joined(t) : t),
  };
};
