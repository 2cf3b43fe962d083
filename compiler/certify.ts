/**
 * Programs that say how far off they may be: values read together with their bounds (`bounds.ts`).
 * @module
 */
import type { Sizes } from "../dsl/core/shape.ts";
import type { Given } from "./bind.ts";
import { boundName } from "./bounds.ts";
import type { Program } from "./program.ts";

/** An output, and for every element a bound on its distance from the ideal. */
export interface Certificate {
  /** Values, row-major. */
  readonly value: Float64Array;
  /** |value − ideal| is at most this; `Infinity` where nothing is claimed. */
  readonly bound: Float64Array;
}

/** A compiled program whose values come with bounds; `run` leaves both on the device. */
export interface Certified<Name extends string = string> extends Omit<Program<Name>, "values"> {
  /** Runs once and reads every output with its bound. */
  readonly values: (
    inputs: Readonly<Record<string, Given>>,
    sizes?: Sizes,
  ) => Promise<Record<Name, Certificate>>;
}

/** Larger than any claim: what a device makes of 3e38, also where it rounds, and beyond. */
const CLAIMS = 1e38;

/** A program compiled with bounds: values and bounds of these outputs in pairs. */
export const certified = (program: Program, names: readonly string[]): Certified => ({
  device: program.device,
  outputs: program.outputs,
  structure: program.structure,
  run: program.run,
  record: program.record,
  bytesMoved: program.bytesMoved,
  explain: program.explain,
  get text() {
    return program.text;
  },
  values: async (inputs, sizes) => {
    const values = await program.values(inputs, sizes);
    return Object.fromEntries(
      names.map((name) => {
        const value = values[name];
        const bound = values[boundName(name)];
        const claimed = (b: number, i: number): number =>
          b <= CLAIMS && Number.isFinite(value[i]) ? b : Infinity;
        return [name, { value, bound: bound.map(claimed) }];
      }),
    );
  },
});
