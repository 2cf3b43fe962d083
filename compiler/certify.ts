/**
 * Programs that say how far off they may be: outputs compiled together with their bounds.
 *
 * The bound is of the term that runs, after rules and fixed point, with the roundings of the device's
 * arithmetic: |value − ideal| ≤ bound holds for what the device returns. Codes made on the way are held
 * in memory, so that values and bounds see the same.
 *
 * Before: `{ out }`; after: `{ out, "out bound" }`.
 * @module
 */
import { boundOf } from "../dsl/bound/bound.ts";
import { isLossy } from "../dsl/bound/ideal.ts";
import { ValueError } from "../dsl/core/errors.ts";
import type { Sizes } from "../dsl/core/shape.ts";
import { type Term, topological } from "../dsl/core/term.ts";
import type { Machine } from "../dsl/read/machine.ts";
import type { Given } from "./bind.ts";
import { CompileError } from "./errors.ts";
import type { Program } from "./program.ts";
import { rewrite, type Trace } from "./rules/rewrite.ts";

/** What is certified, and how. */
export interface Certify {
  /** Packed inputs are codes of something: half a code off. */
  readonly codes: boolean;
}

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

type Outputs = Readonly<Record<string, Term>>;

const boundName = (name: string): string => `${name} bound`;

/** Larger than any claim: what a device makes of 3e38, also where it rounds, and beyond. */
const CLAIMS = 1e38;

/** Codes that the outputs make on the way. */
export const codesIn = (outputs: Outputs): Set<Term> =>
  new Set(topological(Object.values(outputs)).filter((t) => t.tag === "cast" && isLossy(t)));

/** The outputs and, as `<name> bound`, a bound of each; the rules shape bounds, and leave values as they are. */
export const withBounds = (
  outputs: Outputs,
  { codes }: Certify,
  machine: Machine,
): { outputs: Outputs; trace: readonly Trace[] } => {
  const bounds: Record<string, Term> = {};
  const held = codesIn(outputs);
  for (const [name, term] of Object.entries(outputs)) {
    if (boundName(name) in outputs) {
      throw new CompileError("certify", `"${boundName(name)}" is the bound of "${name}"`);
    }
    try {
      bounds[boundName(name)] = boundOf(term, { codes, machine, held });
    } catch (error) {
      if (error instanceof ValueError) throw new CompileError("certify", error.message);
      throw error;
    }
  }
  const kept = new Set(topological(Object.values(outputs)));
  const after = rewrite(bounds, kept);
  return { outputs: { ...outputs, ...after.outputs }, trace: after.trace };
};

/** A program compiled from {@link withBounds}, with values and bounds of these outputs in pairs. */
export const certified = (program: Program, names: readonly string[]): Certified => ({
  ...program,
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
