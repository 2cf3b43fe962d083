/**
 * A term cut along an axis: every piece is made of pieces of what the term is made of.
 *
 * Before: entries 4 … of `f(a ++ b, broadcast c, iota)`, where b begins there;
 * after: `f(b, broadcast c, iota from 4)`.
 * @module
 */
import {
  broadcast,
  cast,
  constant,
  contractBy,
  foldBy,
  gather,
  iota,
  map,
  permute,
  reshape,
} from "../../dsl/core/build.ts";
import { joinedDim, startsOf } from "../../dsl/core/dims.ts";
import { concat, sliced } from "../../dsl/core/pieces.ts";
import { regroups } from "../../dsl/core/shape.ts";
import type { Dim, Shape, Term, TermOf } from "../../dsl/core/term.ts";

/** Where a piece of an axis lies. */
export interface Piece {
  readonly start: Dim;
  readonly size: Dim;
}

/** The pieces of an axis of these sizes. */
export const piecesOf = (sizes: readonly Dim[]): readonly Piece[] =>
  startsOf(sizes).map((start, i) => ({ start, size: sizes[i] }));

/** The sizes whose pieces hold those of both lists whole, or the first where that cannot be said. */
const refined = (a: readonly Dim[], b: readonly Dim[]): readonly Dim[] => {
  const [x, y] = [startsOf(a), startsOf(b)];
  if (y.every((start) => x.includes(start))) return a;
  if (x.every((start) => y.includes(start))) return b;
  const known = [...a, ...b].every((d) => typeof d === "number");
  if (!known) return a;
  const ends = [...new Set([...x, ...y, joinedDim(a)!] as number[])].sort((m, n) => m - n);
  return ends.slice(1).map((end, i) => end - ends[i]);
};

/** Both lists, where there are two. */
const either = (
  a: readonly Dim[] | undefined,
  b: readonly Dim[] | undefined,
): readonly Dim[] | undefined => a && b ? refined(a, b) : a ?? b;

/**
 * Sizes of the pieces that lie side by side along an axis of terms, inside what they are made of as well;
 * a piece may have pieces of its own.
 */
export const jointsOf = (
  operands: readonly { readonly term: Term; readonly axis: number }[],
): readonly Dim[] | undefined => {
  const known = new Map<string, readonly Dim[] | undefined>();
  const along = (terms: readonly Term[], axis: (i: number) => number): readonly Dim[] | undefined =>
    terms.map((t, i) => axis(i) < 0 ? undefined : joints(t, axis(i)))
      .reduce((a, b) => either(a, b), undefined);
  const joints = (t: Term, axis: number): readonly Dim[] | undefined => {
    const key = `${t.id} ${axis}`;
    if (!known.has(key)) known.set(key, inside(t, axis));
    return known.get(key);
  };
  const inside = (t: Term, axis: number): readonly Dim[] | undefined => {
    switch (t.tag) {
      case "map":
      case "cast":
        return along(t.args, () => axis);
      case "permute":
        return joints(t.args[0], t.axes[axis]);
      case "broadcast":
        return along(t.args, () => t.axes.indexOf(axis));
      case "reshape": {
        const own = regroups(t.args[0].shape, t.shape)
          .find(({ to: [a, b] }) => a === axis && b === axis + 1);
        return own && own.from[1] - own.from[0] === 1 ? joints(t.args[0], own.from[0]) : undefined;
      }
      case "concat":
        return t.axis === axis ? t.args.map((a) => a.shape[axis]) : along(t.args, () => axis);
      case "contract":
      case "fold":
        return t.tag === "fold" && t.monoid === "gram"
          ? undefined
          : along(t.args, (i) => t.labels.args[i].indexOf(t.labels.out[axis]));
      default:
        return undefined;
    }
  };
  return along(operands.map((o) => o.term), (i) => operands[i].axis);
};

/** A piece of an axis; terms that many others share are cut once a piece, those in memory as they lie. */
export const cutter = (
  { start, size }: Piece,
  stored: ReadonlySet<Term> = new Set(),
): (term: Term, axis: number) => Term => {
  const known = new Map<string, Term>();
  const cut = (term: Term, axis: number): Term => {
    const key = `${term.id} ${axis}`;
    const old = known.get(key);
    if (old !== undefined) return old;
    const made = (stored.has(term) ? undefined : pieceOf(term, axis)) ??
      sliced(term, axis, start, size);
    known.set(key, made);
    return made;
  };
  const labelled = (t: TermOf<"contract"> | TermOf<"fold">, axis: number): Term[] =>
    t.args.map((a, i) => {
      const at = t.labels.args[i].indexOf(t.labels.out[axis]);
      return at < 0 ? a : cut(a, at);
    });
  /** A part of one of the operands, where their places are known. */
  const partOf = (
    args: readonly Term[],
    pieces: readonly Piece[],
    axis: number,
  ): Term | undefined => {
    if (typeof start === "string" || typeof size === "string") return undefined;
    const at = pieces.findIndex((p) =>
      typeof p.start === "number" && typeof p.size === "number" &&
      p.start <= start && start + size <= p.start + p.size
    );
    return at < 0
      ? undefined
      : cutter({ start: start - (pieces[at].start as number), size }, stored)(args[at], axis);
  };
  const pieceOf = (t: Term, axis: number): Term | undefined => {
    const shape: Shape = t.shape.map((d, i) => i === axis ? size : d);
    switch (t.tag) {
      case "constant":
        return constant(t.value, shape);
      case "iota": {
        if (t.axis !== axis) return iota(shape, t.axis, t.start);
        if (t.start === 0) return iota(shape, axis, start);
        return typeof t.start === "number" && typeof start === "number"
          ? iota(shape, axis, t.start + start)
          : undefined;
      }
      case "map":
        return map(t.op, ...t.args.map((a) => cut(a, axis)));
      case "cast":
        return cast(cut(t.args[0], axis), t.dtype);
      case "permute":
        return permute(cut(t.args[0], t.axes[axis]), t.axes);
      case "broadcast":
        return t.axes.includes(axis)
          ? broadcast(cut(t.args[0], t.axes.indexOf(axis)), shape, t.axes)
          : broadcast(t.args[0], shape, t.axes);
      case "reshape": {
        const own = regroups(t.args[0].shape, t.shape)
          .find(({ to: [a, b] }) => a === axis && b === axis + 1);
        return own && own.from[1] - own.from[0] === 1
          ? reshape(cut(t.args[0], own.from[0]), shape)
          : undefined;
      }
      case "slice":
        return t.axis === axis
          ? undefined
          : sliced(cut(t.args[0], axis), t.axis, t.start, t.shape[t.axis]);
      case "concat": {
        if (t.axis !== axis) return concat(t.args.map((a) => cut(a, axis)), t.axis);
        const pieces = piecesOf(t.args.map((a) => a.shape[axis]));
        const at = pieces.findIndex((p) => p.start === start && p.size === size);
        return at >= 0 ? t.args[at] : partOf(t.args, pieces, axis);
      }
      case "gather":
        if (axis >= t.args[1].shape.length) return undefined;
        return gather(
          axis < (t.batch ?? 0) ? cut(t.args[0], axis) : t.args[0],
          cut(t.args[1], axis),
          t.batch,
        );
      case "contract": {
        const [a, b] = labelled(t, axis);
        return contractBy(t.labels, a, b);
      }
      case "fold":
        return t.monoid === "gram"
          ? undefined
          : foldBy(t.monoid, t.project, t.labels, labelled(t, axis));
      default:
        return undefined;
    }
  };
  return cut;
};
