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
import { startsOf } from "../../dsl/core/dims.ts";
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

/** A piece of an axis; terms that many others share are cut once a piece. */
export const cutter = ({ start, size }: Piece): (term: Term, axis: number) => Term => {
  const known = new Map<string, Term>();
  const cut = (term: Term, axis: number): Term => {
    const key = `${term.id} ${axis}`;
    const old = known.get(key);
    if (old !== undefined) return old;
    const made = pieceOf(term, axis) ?? sliced(term, axis, start, size);
    known.set(key, made);
    return made;
  };
  const labelled = (t: TermOf<"contract"> | TermOf<"fold">, axis: number): Term[] =>
    t.args.map((a, i) => {
      const at = t.labels.args[i].indexOf(t.labels.out[axis]);
      return at < 0 ? a : cut(a, at);
    });
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
        const at = piecesOf(t.args.map((a) => a.shape[axis]))
          .findIndex((p) => p.start === start && p.size === size);
        return t.args[at];
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
