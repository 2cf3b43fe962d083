/**
 * Checkers of the compiler's levels: what must be true after each pass.
 * @module
 */
import { argsOf, type Term, topological } from "../dsl/core/term.ts";
import { codesIn, isFixedPoint } from "../dsl/core/dtype.ts";
import { CompileError } from "./errors.ts";
import type { Block } from "./ir/stmt.ts";
import type { Plan, Slot, Step } from "./kernel.ts";

const insist = (condition: boolean, message: string): void => {
  if (!condition) throw new Error(message);
};

/** Terms: operands were built before their users. */
export const checkTerms = (roots: readonly Term[]): void => {
  for (const t of topological(roots)) {
    argsOf(t).forEach((a) => insist(a.id < t.id, `term ${t.id} comes before its operand ${a.id}`));
  }
};

/** Plans: packed rows have a known size; everything a plan reads is an input or was made before. */
export const checkPlans = ({ plans, outputs }: {
  readonly plans: readonly Plan[];
  readonly outputs: Readonly<Record<string, Term>>;
}): void => {
  const stored = [
    ...plans.flatMap((p) => p.roots),
    ...topological(Object.values(outputs)).filter((t) => t.tag === "input"),
  ];
  for (const t of stored) {
    if (isFixedPoint(t.dtype)) {
      throw new CompileError(
        "layout",
        `${t.tag} of ${t.dtype} lives in registers, it is not stored`,
      );
    }
    const last = t.shape[t.shape.length - 1];
    if (codesIn(t.dtype) !== undefined && typeof last === "string") {
      throw new CompileError(
        "layout",
        `${t.tag} of ${t.dtype} has rows of the dynamic size ${last}`,
      );
    }
  }
  const made = new Set(plans.flatMap((p) => p.roots));
  Object.entries(outputs).forEach(([name, t]) =>
    insist(made.has(t), `output ${name} is made by no plan`)
  );
};

/** Kernels: arrays match slots, what is read was made before, names are unique, no lanes inside lanes or under a condition. */
export const checkKernels = (steps: readonly Step[]): void => {
  const written = new Set<string>();
  const made = new Set<unknown>();
  for (const { kernel, slots } of steps) {
    const keyOf = (slot: Slot): unknown => slot.tag === "term" ? slot.term : slot.name;
    slots.forEach((slot, i) => {
      if (kernel.arrays[i].mutable || (slot.tag === "term" && slot.term.tag === "input")) return;
      insist(
        made.has(keyOf(slot)),
        `${kernel.name} reads ${kernel.arrays[i].name} before it is made: ${
          slot.tag === "term" ? `${slot.term.tag} ${JSON.stringify(slot.term.shape)}` : slot.name
        }`,
      );
    });
    slots.forEach((slot, i) => kernel.arrays[i].mutable && made.add(keyOf(slot)));
    insist(
      kernel.arrays.length === slots.length,
      `${kernel.name} has ${kernel.arrays.length} arrays, ${slots.length} slots`,
    );
    const walk = (block: Block, inner: boolean): void =>
      block.forEach((s) => {
        if (s.tag === "par") insist(!inner, `${kernel.name} spreads lanes inside ${s.name}`);
        if (s.tag === "store") {
          insist(s.arr.mutable, `${kernel.name} writes ${s.arr.name}, which it only reads`);
        }
        if ("body" in s) {
          walk(s.body, inner || s.tag === "par" || s.tag === "if");
        }
      });
    walk(kernel.body, false);
    insist(!written.has(kernel.name), `two kernels are called ${kernel.name}`);
    written.add(kernel.name);
  }
};
