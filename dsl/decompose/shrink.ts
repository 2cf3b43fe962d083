/**
 * The part of a matrix that stands above white noise: x ≈ c·Bᵀ with singular values shrunk by the optimal
 * rule, at most r of them.
 *
 * ```text
 * x = U·Σ·Vᵀ,  s_i = kept share of σ_i (`noise.ts`)  ->  basis B = V·s^½ [d, r],  coefficients c = x·B [t, r]
 * c·Bᵀ = U·(Σ·s)·Vᵀ: σ_i comes back as σ_i·s_i, and not at all where noise explains it
 * ```
 *
 * How many axes stand above the noise depends on data and is no shape: those that do not are columns of
 * zeros. Half of the shrinking lies in the basis, so a later token that meets it is shrunk alike.
 * @module
 */
import { broadcast, constant, contractBy, foldOver, iota, map } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import { staticCount } from "../core/shape.ts";
import { slice } from "../core/pieces.ts";
import type { Factored } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { type Axes, axesOf, product, weigh } from "./labelled.ts";
import { keptShare, noiseMedianOf } from "./noise.ts";
import { pca } from "./pca.ts";
import { normalised, spectrum } from "./spectrum.ts";

/** The middle of the first `count` of descending numbers along the last axis: the mean of two if there are two. */
const middleOf = (sigma: Term, count: Term): Term => {
  const n = sigma.shape[sigma.shape.length - 1];
  const half = map("mul", map("sub", count, 1), 1 / 2);
  const apart = map("abs", map("sub", iota([n], 0), broadcast(half, [n], [])));
  // An odd count has one entry at the middle, an even one two at a half beside it.
  const here = map("less", apart, 3 / 4);
  const lead = sigma.shape.slice(0, -1).map((_, i) => `b${i}`);
  const sum = contractBy({ args: [[...lead, "r"], ["r"]], out: lead }, sigma, here);
  const found = foldOver("sum", "sum", here, [0]);
  return map("div", sum, broadcast(found, sum.shape, []));
};

/** The kept share of every singular value [...batch, channels], of matrices of so many rows. */
const sharesOf = (sigma: Term, rows: Term): Term => {
  const channels = sigma.shape[sigma.shape.length - 1] as number;
  const fewer = map("min", rows, channels);
  const beta = map("div", fewer, map("max", rows, channels));
  const lead = sigma.shape.map((_, i) => i).slice(0, -1);
  const middle = middleOf(sigma, fewer);
  const share = map("div", broadcast(middle, sigma.shape, lead), sigma);
  const median = broadcast(noiseMedianOf(beta), sigma.shape, []);
  const t = map("div", map("mul", share, share), median);
  return keptShare(t, broadcast(beta, sigma.shape, []));
};

/** What {@link shrunk} is asked for. */
export interface Shrinking {
  /** The most axes that are kept. */
  readonly rank: number;
}

/**
 * What of a matrix stands above white noise, at most `rank` axes: x ≈ coefficients·basisᵀ with singular values
 * shrunk by the optimal rule. Parts: `coefficients` `[…, tokens, r]` and `basis` `[…batch, d, r]`; axes that
 * noise explains are zeros.
 */
export const shrunk = ({ rank }: Shrinking): Factored => {
  const name = `shrunk(rank ${rank})`;
  if (!(Number.isInteger(rank) && rank > 0)) {
    throw new ValueError(name, `rank ${rank} is not a positive integer`);
  }
  const { decode, partShapes } = pca({ rank });
  const countOf = ({ rowDims }: Axes): Term => {
    const known = staticCount(rowDims);
    if (known !== undefined) return constant(known, []);
    return foldOver("sum", "sum", constant(1, rowDims), rowDims.map((_, i) => i));
  };
  return {
    name,
    encode: (x, batch = 0) => {
      const axes = axesOf(name, x.shape, batch);
      const { channels } = axes;
      const given = { term: x, labels: [...axes.batch, ...axes.rows, "d"] };
      const scaled = normalised(given, axes.batch).x;
      const { vectors, sigma } = spectrum(scaled, axes.batch, ["d"], "r", channels);
      const shares = { term: sharesOf(sigma.term, countOf(axes)), labels: sigma.labels };
      const r = Math.min(rank, channels);
      const first = (t: Term): Term => slice(t, t.shape.length - 1, 0, r);
      const basis = weigh(
        { term: first(vectors.term), labels: vectors.labels },
        { term: map("sqrt", first(shares.term)), labels: shares.labels },
      );
      return {
        coefficients: product(given, basis, [...axes.batch, ...axes.rows, "r"]).term,
        basis: basis.term,
      };
    },
    decode,
    partShapes: (shape: Shape, batch) => partShapes(shape, batch),
  };
};
