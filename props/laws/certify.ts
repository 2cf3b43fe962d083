/**
 * The law of certificates: what a device returns is no further from the ideal than its certificate says,
 * the device's arithmetic included. Routines and parameters (scales, minima that codes are computed
 * against) are outputs of the program, and count as the device made them.
 * @module
 */
import type { Outputs } from "../../compiler/pipeline.ts";
import { input } from "../../dsl/core/build.ts";
import { exchanged, type Term, topological } from "../../dsl/core/term.ts";
import { idealOf, parametersOf } from "../../dsl/bound/ideal.ts";
import type { Env } from "../../dsl/read/eval.ts";
import { F64 } from "../../dsl/read/machine.ts";
import { rounding } from "../../dsl/read/rounding.ts";
import { isLeft } from "../../fp.ts";
import { type Certificate, type Device, type Schedule, tryCertify } from "../../mod.ts";
import type { Sample } from "../terms.ts";

/** An output with what counts as stored below it: the device's own is compared with. */
export const withStored = (out: Term): Outputs => {
  const parameters = parametersOf(out);
  const stored = topological([out]).filter((t) => t.tag === "routine" || parameters.has(t));
  return { out, ...Object.fromEntries(stored.map((t, i) => [`stored ${i}`, t])) };
};

const isStored = (name: string): boolean => /^stored \d+$/.test(name);

/** The ideal as a function of what was stored. */
const given = (term: Term, made: Outputs): Term =>
  exchanged(
    term,
    new Map(
      Object.entries(made).filter(([name]) => isStored(name)).map((
        [name, t],
      ): [Term, Term] => [t, input(name, t.shape, t.dtype)]),
    ),
  );

/** How much a certificate says, and whether it is true. */
export interface Verdict {
  /** Largest excess of |value − ideal| over the bound. */
  readonly excess: number;
  /** Elements with a finite bound. */
  readonly claims: number;
  /** Root of the sum of squares of the bounds over that of the errors. */
  readonly looseness: number;
}

/** Holds the certificate of `out` to the ideal in f64; there is no claim where the bound is infinite. */
export const certificateVerdict = (
  meant: Outputs,
  made: Readonly<Record<string, Certificate>>,
  env: Env,
): Verdict => {
  const stored = Object.entries(made).filter(([name]) => isStored(name))
    .map(([name, { value }]) => [name, value]);
  const all = { ...env, inputs: { ...env.inputs, ...Object.fromEntries(stored) } };
  const [ideal] = rounding([given(idealOf(meant.out), meant)], all, F64);
  let [excess, claims, bounds, errors] = [-Infinity, 0, 0, 0];
  made.out.value.forEach((v, i) => {
    const bound = made.out.bound[i];
    const claim = bound + ideal.error[i];
    if (!Number.isFinite(claim)) return;
    claims++;
    const error = Math.abs(v - ideal.value.data[i]);
    const over = error - claim;
    excess = Math.max(excess, Number.isNaN(over) ? Infinity : over);
    bounds += bound * bound;
    errors += error * error;
  });
  return { excess, claims, looseness: Math.sqrt(bounds / errors) };
};

/** The verdict on a program's own certificate; nothing where it is refused. */
export const certificateOf = async (
  device: Device,
  { term, sizes, inputs }: Sample,
  schedule: Partial<Schedule>,
  sharp: boolean,
): Promise<Verdict | undefined> => {
  const meant = withStored(term);
  const program = await tryCertify(meant, { device, schedule, sharp });
  if (isLeft(program)) return undefined;
  return certificateVerdict(meant, await program.right.values(inputs, sizes), { sizes, inputs });
};
