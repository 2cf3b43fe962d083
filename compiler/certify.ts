/**
 * Programs that say how far off they may be: outputs compiled together with their bounds.
 * @module
 */
import type { Sizes } from "../dsl/core/shape.ts";
import { boundOf, type Known } from "../dsl/read/bound.ts";
import type { Given } from "./bind.ts";
import { CompileError } from "./errors.ts";
import type { Outputs } from "./pipeline.ts";
import type { Program } from "./program.ts";

/** An output, and for every element a bound on its distance from the ideal. */
export interface Certificate {
  /** Values, row-major. */
  readonly value: Float64Array;
  /** |value − ideal| is at most this; `Infinity` where nothing is claimed. */
  readonly bound: Float64Array;
}

/** A compiled program whose values come with bounds; `run` leaves both on the device. */
export interface Certified extends Omit<Program, "values"> {
  /** Runs once and reads every output with its bound. */
  readonly values: (
    inputs: Readonly<Record<string, Given>>,
    sizes?: Sizes,
  ) => Promise<Record<string, Certificate>>;
}

const boundName = (name: string): string => `${name} bound`;

/** Larger than any claim: what a device makes of 3e38, also where it rounds, and beyond. */
const CLAIMS = 1e38;

/** The outputs and, as `<name> bound`, a bound of each. */
export const withBounds = (outputs: Outputs, known: Known): Outputs => {
  for (const name of Object.keys(outputs)) {
    if (boundName(name) in outputs) {
      throw new CompileError("certify", `"${boundName(name)}" is the bound of "${name}"`);
    }
  }
  const bounds = Object.entries(outputs).map(([k, t]) => [boundName(k), boundOf(t, known)]);
  return { ...outputs, ...Object.fromEntries(bounds) };
};

/** A program compiled from {@link withBounds}, with values and bounds of these outputs in pairs. */
export const certified = (program: Program, outputs: Outputs): Certified => ({
  ...program,
  values: async (inputs, sizes) => {
    const values = await program.values(inputs, sizes);
    return Object.fromEntries(
      Object.keys(outputs).map((name) => [name, {
        value: values[name],
        bound: values[boundName(name)].map((b) => b <= CLAIMS ? b : Infinity),
      }]),
    );
  },
});
