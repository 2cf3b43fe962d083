/**
 * Singular values and vectors of one side of a matrix, from the Gram matrix of that side.
 *
 * ```text
 * m [l, D]  ->  gram Σ x xᵀ [D, D]  ->  eigh  ->  vectors V [D, r], sigma √max(λ, 0) [r]
 * ```
 *
 * A Gram matrix is a fold over tokens, so a context may be split, appended to, or held in a stream; the
 * long side never enters a routine. What it costs: σ below about 2^-12·‖A‖ in f32 (2^-26 in f64) is noise,
 * so nothing here divides by σ. V stays orthogonal all the same, and A·V·Vᵀ is A. Cut to a rank it loses no
 * more than √(Σ σ² left out + rank·({@link FLOOR}·‖A‖)²), and DecoQuant's codes lose no more than twice what
 * they do with true factors, whatever the spectrum (`props/gram_test.ts`). `svd` keeps small σ.
 * @module
 */
import { broadcast, foldOver, gram, map, reshape } from "../core/build.ts";
import { held } from "../core/held.ts";
import { slice } from "../core/pieces.ts";
import { routine } from "../core/routines.ts";
import { staticCount } from "../core/shape.ts";
import type { Term } from "../core/term.ts";
import { arrange, dimsOf, type Labelled } from "./labelled.ts";

/** Below σ₁ times this, a singular value counts as this in a gauge. Above the noise of f32, 2^-12. */
export const FLOOR = 2 ** -10;

/** Vectors `[...batch, ...side, bond]` of the largest singular values `[...batch, bond]`. */
export interface Spectrum {
  readonly vectors: Labelled;
  readonly sigma: Labelled;
}

/** The first entries of an axis. */
export const firstOf = (term: Term, axis: number, count: number): Term =>
  term.shape[axis] === count ? term : slice(term, axis, 0, count);

/**
 * The tensor divided by its largest magnitude, so that squares stay in the range of f32, and that
 * magnitude, one for every index of the batch. It is held, so that zeros are divided too.
 */
export const normalised = (
  x: Labelled,
  batch: readonly string[],
): { x: Labelled; top: Labelled } => {
  const gone = x.labels.map((_, i) => i).slice(batch.length);
  const magnitude = foldOver("max", "max", map("abs", x.term), gone);
  const top = held(magnitude);
  const spread = broadcast(top, x.term.shape, batch.map((_, i) => i));
  return {
    x: { term: map("div", x.term, spread), labels: x.labels },
    top: { term: top, labels: batch },
  };
};

/** The Gram matrix `[...batch, n, n]` of a side of a tensor, summed over its other axes. */
export const gramOf = (m: Labelled, batch: readonly string[], side: readonly string[]): Term => {
  const rest = m.labels.filter((l) => !batch.includes(l) && !side.includes(l));
  const n = staticCount(dimsOf(m, side))!;
  const lead = [...batch, ...rest];
  const rows = reshape(arrange(m, [...lead, ...side]).term, [...dimsOf(m, lead), n]);
  return gram(rows, rest.map((_, i) => batch.length + i));
};

/** Spectrum of the side `side` of a tensor whose other axes, but for the batch, are the other side. */
export const spectrum = (
  m: Labelled,
  batch: readonly string[],
  side: readonly string[],
  bond: string,
  rank: number,
): Spectrum => {
  const products = gramOf(m, batch, side);
  const at = batch.length;
  const vectors = firstOf(routine("eigh", "vectors", products), at + 1, rank);
  const values = firstOf(routine("eigh", "values", products), at, rank);
  return {
    vectors: {
      term: reshape(vectors, [...dimsOf(m, [...batch, ...side]), rank]),
      labels: [...batch, ...side, bond],
    },
    sigma: { term: map("sqrt", map("max", values, 0)), labels: [...batch, bond] },
  };
};

/** σ held above {@link FLOOR} · σ₁, and 1 if there is none: safe to divide by. */
export const floored = ({ term, labels }: Labelled): Labelled => {
  const axis = term.shape.length - 1;
  const leading = reshape(firstOf(term, axis, 1), term.shape.slice(0, axis));
  const largest = broadcast(leading, term.shape, leading.shape.map((_, i) => i));
  const above = map("max", term, map("mul", largest, FLOOR));
  return { term: map("select", map("less", 0, largest), above, 1), labels };
};
