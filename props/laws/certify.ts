/**
 * The law of certificates: what a device says a program may be off, it is not off by more. Routines are
 * outputs of the program, and count as the device made them.
 * @module
 */
import type { Outputs } from "../../compiler/pipeline.ts";
import { input } from "../../dsl/core/build.ts";
import { type Term, topological } from "../../dsl/core/term.ts";
import { idealOf } from "../../dsl/read/bound.ts";
import type { Env } from "../../dsl/read/eval.ts";
import { F32, F64 } from "../../dsl/read/machine.ts";
import { rounding } from "../../dsl/read/rounding.ts";
import type { Certificate } from "../../mod.ts";
import { replaced } from "./encode.ts";

/** An output with the routines below it, which have no f64 value to compare with. */
export const withRoutines = (out: Term): Outputs => ({
  out,
  ...Object.fromEntries(
    topological([out]).filter((t) => t.tag === "routine").map((t, i) => [`routine ${i}`, t]),
  ),
});

const isRoutine = (name: string): boolean => /^routine \d+$/.test(name);

/** The term with routines read from inputs of their names. */
const given = (term: Term, made: Outputs): Term =>
  replaced(
    term,
    new Map(
      Object.entries(made).filter(([name]) => isRoutine(name)).map((
        [name, t],
      ): [Term, Term] => [t, input(name, t.shape, t.dtype)]),
    ),
  );

/** How much a certificate says, and whether it is true. */
export interface Verdict {
  /** Largest excess of |value − ideal| over bound and rounding. */
  readonly excess: number;
  /** Elements with a finite bound and a known rounding. */
  readonly claims: number;
}

/**
 * Holds the certificate of `out` to the ideal in f64. A device computes the rewritten terms, so the
 * roundings of value and bound come on top; no claim is made where one of the three is infinite.
 */
export const certificateVerdict = (
  meant: Outputs,
  rewritten: Outputs,
  made: Readonly<Record<string, Certificate>>,
  env: Env,
): Verdict => {
  const routines = Object.entries(made).filter(([name]) => isRoutine(name))
    .map(([name, { value }]) => [name, value]);
  const all = { ...env, inputs: { ...env.inputs, ...Object.fromEntries(routines) } };
  const [ideal] = rounding([given(idealOf(meant.out), meant)], all, F64);
  const [out, limit] = rounding(
    [rewritten.out, rewritten["out bound"]].map((t) => given(t, rewritten)),
    all,
    F32,
  );
  let [excess, claims] = [-Infinity, 0];
  made.out.value.forEach((v, i) => {
    const claim = made.out.bound[i] + out.error[i] + limit.error[i] + ideal.error[i];
    if (!Number.isFinite(claim)) return;
    claims++;
    const over = Math.abs(v - ideal.value.data[i]) - claim;
    excess = Math.max(excess, Number.isNaN(over) ? Infinity : over);
  });
  return { excess, claims };
};
