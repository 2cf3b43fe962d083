/**
 * Singular value decomposition by the routine: x = U diag(s) Vᵀ.
 *
 * ```text
 * x [...batch, rows, d]  ->  u [...batch, rows, r],  s [...batch, r],  v [...batch, d, r]
 * ```
 *
 * r = min(rows, d), or d where rows are dynamic. Unlike a Gram matrix it keeps small singular values to
 * full precision, and unlike one it is no fold: the whole prompt is needed. A wide matrix is
 * transposed: the routine takes tall ones.
 * @module
 */
import { broadcast, contractBy, map, permute, reshape } from "../core/build.ts";
import { slice } from "../core/pieces.ts";
import { routine } from "../core/routines.ts";
import { ValueError } from "../core/errors.ts";
import type { Factored } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { matricesOf, transposed } from "./matrix.ts";

/** What {@link svd} is asked for. */
export interface Singular {
  /** Singular values kept, all unless given. */
  readonly rank?: number;
}

/**
 * Singular value decomposition, x = u·diag(s)·vᵀ, lossless unless `rank` leaves values out. Parts: `u`
 * `[…batch, rows, r]`, `s` `[…batch, r]`, `v` `[…batch, d, r]`.
 */
export const svd = ({ rank = Infinity }: Singular = {}): Factored => {
  const name = rank === Infinity ? "svd" : `svd(rank ${rank})`;
  if (!(rank > 0) || (rank !== Infinity && !Number.isInteger(rank))) {
    throw new ValueError(name, `rank ${rank} is not a positive integer`);
  }
  const keep = (t: Term, count: number): Term => {
    const axis = t.shape.length - 1;
    return t.shape[axis] === count ? t : slice(t, axis, 0, count);
  };
  const sizes = (shape: Shape, batch: number) => {
    const matrices = matricesOf(name, shape, batch);
    const { rows, columns, wide } = matrices;
    return { ...matrices, r: Math.min(wide ? rows as number : columns, rank) };
  };
  return {
    name,
    encode: (x, batch = 0) => {
      const { lead, rows, columns, wide, r } = sizes(x.shape, batch);
      const m = reshape(x, [...lead, rows, columns]);
      const tall = wide ? permute(m, transposed(lead.length + 2)) : m;
      const [u, s, v] = ["u", "s", "v"].map((p) => keep(routine("svd", p, tall), r));
      return wide ? { u: v, s, v: u } : { u, s, v };
    },
    decode: ({ u, s, v }, shape, batch = 0) => {
      const { lead } = sizes(shape, batch);
      const b = lead.map((_, i) => `b${i}`);
      const at = [...b.map((_, i) => i), lead.length + 1];
      const weighted = map("mul", v, broadcast(s, v.shape, at));
      const labels = { args: [[...b, "t", "r"], [...b, "d", "r"]], out: [...b, "t", "d"] };
      return reshape(contractBy(labels, u, weighted), shape);
    },
    partShapes: (shape, batch = 0): Readonly<Record<string, Shape>> => {
      const { lead, rows, columns, r } = sizes(shape, batch);
      return { u: [...lead, rows, r], s: [...lead, r], v: [...lead, columns, r] };
    },
  };
};
