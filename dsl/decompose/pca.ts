/**
 * Principal axes without a mean: x = c Bᵀ, with B the eigenvectors of Σ x xᵀ over all rows.
 *
 * ```text
 * x [...batch, ...rows, t, d]  ->  coefficients x·B [...batch, ...rows, t, r],  basis B [...batch, d, r]
 * ```
 *
 * B is orthogonal, so a full rank (r = d, the default) is lossless, and a smaller one leaves out the
 * squares of the smallest singular values. The Gram matrix is a fold: `online` holds it in a stream. Without
 * that the basis is the prompt's, and later tokens are projected onto it.
 * @module
 */
import { reshape } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import type { Factored } from "../codec/codec.ts";
import type { Shape } from "../core/term.ts";
import { type Axes, axesOf, product } from "./labelled.ts";
import { firstOf, gramOf, normalised, spectrum } from "./spectrum.ts";
import { routine } from "../core/routines.ts";

/** What {@link pca} is asked for. */
export interface Principal {
  /** Axes kept, all unless given. */
  readonly rank?: number;
}

/**
 * Principal axes without a mean: x = coefficients·basisᵀ, lossless unless `rank` leaves axes out. Parts:
 * `coefficients` `[…, tokens, r]` and `basis` `[…batch, d, r]`, the eigenvectors of Σ x xᵀ over all rows: of all
 * heads together, or of each within `perHead`.
 */
export const pca = ({ rank = Infinity }: Principal = {}): Factored => {
  const name = rank === Infinity ? "pca" : `pca(rank ${rank})`;
  if (!(rank > 0) || (rank !== Infinity && !Number.isInteger(rank))) {
    throw new ValueError(name, `rank ${rank} is not a positive integer`);
  }
  const kept = (channels: number): number => Math.min(rank, channels);
  const labels = ({ batch, rows }: Axes) => ({
    x: [...batch, ...rows, "d"],
    coefficients: [...batch, ...rows, "r"],
    basis: [...batch, "d", "r"],
  });
  return {
    name,
    encode: (x, batch = 0) => {
      const axes = axesOf(name, x.shape, batch);
      const at = labels(axes);
      const given = { term: x, labels: at.x };
      const scaled = normalised(given, axes.batch).x;
      const { vectors } = spectrum(scaled, axes.batch, ["d"], "r", kept(axes.channels));
      return {
        coefficients: product(given, vectors, at.coefficients).term,
        basis: vectors.term,
      };
    },
    decode: (parts, shape, batch = 0) => {
      const at = labels(axesOf(name, shape, batch));
      const coefficients = { term: parts.coefficients, labels: at.coefficients };
      return reshape(
        product(coefficients, { term: parts.basis, labels: at.basis }, at.x).term,
        shape,
      );
    },
    learn: {
      sums: (x, batch = 0) => {
        const axes = axesOf(name, x.shape, batch);
        return { gram: gramOf({ term: x, labels: labels(axes).x }, axes.batch, ["d"]) };
      },
      fixed: ({ gram }, batch = 0) => {
        // Squares are brought into the range of a routine as values are: eigenvectors have no scale.
        const at = Array.from({ length: batch }, (_, i) => `b${i}`);
        const { x: { term: scaled } } = normalised({ term: gram, labels: [...at, "d", "e"] }, at);
        const channels = gram.shape[batch] as number;
        const vectors = routine("eigh", "vectors", scaled);
        return { basis: firstOf(vectors, batch + 1, kept(channels)) };
      },
    },
    partShapes: (shape, batch = 0): Readonly<Record<string, Shape>> => {
      const { channels, batchDims, rowDims } = axesOf(name, shape, batch);
      const r = kept(channels);
      return { coefficients: [...batchDims, ...rowDims, r], basis: [...batchDims, channels, r] };
    },
  };
};
