/**
 * SmoothQuant (arXiv 2211.10438): channels of the input that reach far are made smaller and the weights that
 * read them larger, before both are rounded. s_j = max(a_j^α / w_j^(1−α), 1e-5) with a_j the largest
 * magnitude of channel j of the calibration inputs and w_j that of column j of all weights that read it; the
 * gain of the norm before takes up 1/s. Maps that no norm precedes stay as they are.
 *
 * The paper stores one symmetric scale a row of weights, and a token of activations. Bits: b + 16/n, or b + 32/g
 * in groups of g columns. Calibration: the largest magnitudes, a fold over tokens. α = 0.5; 1/256 is its step.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { foldOver, map, reshape } from "../core/build.ts";
import type { Bits } from "../core/dtype.ts";
import type { Term } from "../core/term.ts";
import { quantize } from "../quantize/affine.ts";
import { powers } from "../quantize/power.ts";
import { rescaled } from "../weights/scaling.ts";
import { nearest, type Shared, type WeightScheme } from "../weights/scheme.ts";

const raised = (x: Term, alpha: number): Term => reshape(powers(x, [alpha]), x.shape);

/** Factors of channels; see the head of the file. */
export const smoothing = ({ weights, inputs }: Shared, alpha = 0.5): Term => {
  const tops = Object.values(weights).map((w) => foldOver("max", "max", map("abs", w), [0]));
  const top = tops.reduce((a, b) => map("max", a, b));
  return map("max", map("div", raised(inputs.max, alpha), raised(top, 1 - alpha)), 1e-5);
};

/** What {@link smoothquant} is asked for. */
export interface Smooth {
  /** Bits of a code. */
  readonly bits: Bits;
  /** How much of the spread the weights take over, 0 to 1. */
  readonly alpha?: number;
  /** What stores the weights, if not one symmetric scale a row. */
  readonly codec?: Codec;
}

/** Smoothed weights, rounded to nearest. */
export const smoothquant = ({ bits, alpha = 0.5, codec }: Smooth): WeightScheme => {
  const rounded = nearest(codec ?? quantize({ bits, per: "token", range: "symmetric" }));
  return {
    name: `smoothquant(${alpha}), ${rounded.codec.name}`,
    codec: rounded.codec,
    fit: (shared) =>
      rounded.fit(
        shared.gain === undefined ? shared : rescaled(shared, smoothing(shared, alpha)),
      ),
  };
};
