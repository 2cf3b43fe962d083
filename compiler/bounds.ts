/**
 * Bounds of outputs, compiled beside them. The bound is of the term that runs, after rules and fixed
 * point, with the roundings of the device's arithmetic: |value − ideal| ≤ bound holds for what the
 * device returns. Codes made on the way are held in memory, so that values and bounds see the same.
 *
 * Before: `{ out }`; after: `{ out, "out bound" }`.
 * @module
 */
import { boundOf } from "../dsl/bound/bound.ts";
import { isLossy } from "../dsl/bound/ideal.ts";
import { ValueError } from "../dsl/core/errors.ts";
import { type Term, topological } from "../dsl/core/term.ts";
import type { Machine } from "../dsl/read/machine.ts";
import { CompileError } from "./errors.ts";
import { rewrite, type Trace } from "./rules/rewrite.ts";

/** What is certified, and how. */
export interface Certify {
  /** Packed inputs are codes of something: half a code off. */
  readonly codes: boolean;
  /** Read values once more for a sharper bound of attention. */
  readonly sharp: boolean;
}

type Outputs = Readonly<Record<string, Term>>;

/** What the bound of an output is called. */
export const boundName = (name: string): string => `${name} bound`;

/** Codes that the outputs make on the way. */
const codesIn = (outputs: Outputs): Set<Term> =>
  new Set(topological(Object.values(outputs)).filter((t) => t.tag === "cast" && isLossy(t)));

/** The outputs and, as `<name> bound`, a bound of each; the rules shape bounds, and leave values as they are. */
export const withBounds = (
  outputs: Outputs,
  { codes, sharp }: Certify,
  machine: Machine,
): { outputs: Outputs; trace: readonly Trace[]; held: ReadonlySet<Term> } => {
  const bounds: Record<string, Term> = {};
  const held = codesIn(outputs);
  for (const [name, term] of Object.entries(outputs)) {
    if (boundName(name) in outputs) {
      throw new CompileError("certify", `"${boundName(name)}" is the bound of "${name}"`);
    }
    try {
      bounds[boundName(name)] = boundOf(term, { codes, sharp, machine, held });
    } catch (error) {
      if (error instanceof ValueError) throw new CompileError("certify", error.message);
      throw error;
    }
  }
  const kept = new Set(topological(Object.values(outputs)));
  const after = rewrite(bounds, kept);
  return { outputs: { ...outputs, ...after.outputs }, trace: after.trace, held };
};
