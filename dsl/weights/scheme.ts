/**
 * Schemes for weights: from the linear maps that read one input, and what calibration says of that input, to
 * stored weights.
 *
 * y = x·Wᵀ with W [o, n]. Maps that read the same x are fitted together: a scheme may scale channels of x, which
 * the gain of the norm before takes up.
 * @module
 */
import { foldOver, gram, map } from "../core/build.ts";
import type { Codec, Parts } from "../codec/codec.ts";
import { quantizeGroups } from "../quantize/groups.ts";
import type { Bits } from "../core/dtype.ts";
import type { Term } from "../core/term.ts";

/** Statistics of a layer's inputs over tokens, each a fold: those of two texts join. */
export interface Calibration {
  /** Largest magnitude of every channel. */
  readonly max: Term;
  /** Σ |x| of every channel. */
  readonly sum: Term;
  /** Σ x xᵀ. */
  readonly gram: Term;
}

/** Linear maps that read one input. */
export interface Shared {
  /** The gain of the norm that makes the input, if one does. */
  readonly gain?: Term;
  /** Weights [o, n] by name. */
  readonly weights: Readonly<Record<string, Term>>;
  /** What is known of the input. */
  readonly inputs: Calibration;
}

/** What is kept of {@link Shared}: parts of the scheme's codec, and the gain that goes with them. */
export interface Fitted {
  /** The gain, given where one was. */
  readonly gain?: Term;
  /** Stored parts of the weights, by name. */
  readonly weights: Readonly<Record<string, Parts>>;
}

/** A way to store the weights [o, n] of linear maps y = x·Wᵀ that read one input. */
export interface WeightScheme {
  /** The scheme as it is written. */
  readonly name: string;
  /** What reads the parts. */
  readonly codec: Codec;
  /** Finds the parts. */
  readonly fit: (shared: Shared) => Fitted;
}

/** Statistics of inputs [tokens, n]. */
export const calibrationOf = (x: Term): Calibration => ({
  max: foldOver("max", "max", map("abs", x), [0]),
  sum: foldOver("sum", "sum", map("abs", x), [0]),
  gram: gram(x, [0]),
});

/** A record with every value changed. */
export const mapped = <A, B>(
  record: Readonly<Record<string, A>>,
  change: (value: A, name: string) => B,
): Readonly<Record<string, B>> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)]));

/** Weights by any codec, as they are: round to nearest. */
export const nearest = (codec: Codec): WeightScheme => ({
  name: `nearest, ${codec.name}`,
  codec,
  fit: ({ weights, ...rest }) => ({
    ...rest.gain === undefined ? {} : { gain: rest.gain },
    weights: mapped(weights, (w) => codec.encode(w)),
  }),
});

/** Round to nearest, one scale and minimum for `group` consecutive columns. Bits: b + 32/g. */
export const nearestGroups = (bits: Bits, group = 64): WeightScheme =>
  nearest(quantizeGroups(bits, group));
