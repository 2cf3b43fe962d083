/**
 * The passes of the compiler, on one screen. Each goes from one level to the next; the level's checker
 * runs after it, and an error names the pass that broke it.
 *
 * ```text
 * terms ──rules──▶ terms ──fixed-point──▶ terms ──paced──▶ terms ──bounds──▶ terms ──butterflies──▶ terms
 *       ──group──▶ plans ──skeletons──▶ kernels ──emit (the device)──▶ text
 * ```
 * @module
 */
import type { Term } from "../dsl/core/term.ts";
import { F32 } from "../dsl/read/machine.ts";
import { type Certify, withBounds } from "./bounds.ts";
import { checkKernels, checkPlans, checkTerms } from "./check.ts";
import { CompileError } from "./errors.ts";
import { group } from "./group.ts";
import {
  type Plan,
  SCHEDULE,
  type Schedule,
  type Skeletons,
  type Step,
  type Target,
} from "./kernel.ts";
import { butterflies } from "./rules/butterfly.ts";
import { fixedPoint } from "./rules/fixed.ts";
import { pacedScores } from "./rules/paced.ts";
import { rewrite, type Trace } from "./rules/rewrite.ts";
import { ALGEBRA_RULES, CERTIFIED_RULES } from "./rules/rules.ts";

/** Outputs of a program by name. */
export type Outputs = Readonly<Record<string, Term>>;

/** A pass from one level to another, and the checker of the level it ends in. */
export interface Pass<A, B> {
  readonly name: string;
  readonly run: (a: A) => B;
  readonly check: (b: B) => void;
}

/** Terms after rules, with the rules that fired. */
export interface Rewritten {
  readonly outputs: Outputs;
  /** Terms that are held in memory, whoever makes them. */
  readonly held: ReadonlySet<Term>;
  readonly trace: readonly Trace[];
}

/** Plans of kernels over the rewritten terms. */
export interface Planned extends Rewritten {
  readonly plans: readonly Plan[];
  readonly stored: ReadonlySet<Term>;
}

/** Kernels, in the order they run. */
export interface Lowered extends Planned {
  readonly steps: readonly Step[];
}

/** One pass after another; the checker of each level runs in between. */
export const then = <A, B, C>(first: Pass<A, B>, second: Pass<B, C>): Pass<A, C> => ({
  name: `${first.name} ▶ ${second.name}`,
  run: (a) => {
    const b = first.run(a);
    checked(first, b);
    return second.run(b);
  },
  check: second.check,
});

const checked = <A, B>(pass: Pass<A, B>, value: B): void => {
  try {
    pass.check(value);
  } catch (error) {
    if (error instanceof CompileError) throw error;
    throw new Error(`pass ${pass.name} broke its level: ${(error as Error).message}`, {
      cause: error,
    });
  }
};

const checkRewritten = ({ outputs }: Rewritten): void => checkTerms(Object.values(outputs));

/** Algebra: work moves out of the token loop. */
export const rulesPass = (asked: Certify | undefined): Pass<Outputs, Rewritten> => ({
  name: "rules",
  run: (outputs) => ({
    ...rewrite(outputs, new Set(), asked === undefined ? ALGEBRA_RULES : CERTIFIED_RULES),
    held: new Set(),
  }),
  check: checkRewritten,
});

/** Integers where the target multiplies them and the schedule allows it. */
export const fixedPass = (schedule: Schedule, target: Target): Pass<Rewritten, Rewritten> => ({
  name: "fixed-point",
  run: (level) =>
    schedule.fixed !== false && target.dot16
      ? { ...level, outputs: fixedPoint(level.outputs, schedule.fixed) }
      : level,
  check: checkRewritten,
});

/** What changes slowly along tokens meets the query, where a group has one lane; a certificate is of what was written. */
export const pacedPass = (
  target: Target,
  asked: Certify | undefined,
): Pass<Rewritten, Rewritten> => ({
  name: "paced",
  run: (level) =>
    target.serial && asked === undefined
      ? { ...level, outputs: pacedScores(level.outputs) }
      : level,
  check: checkRewritten,
});

/** Bounds of the outputs beside them, where they are asked for. */
export const boundsPass = (asked: Certify | undefined): Pass<Rewritten, Rewritten> => ({
  name: "bounds",
  run: (level) => {
    if (asked === undefined) return level;
    const { outputs, trace, held } = withBounds(level.outputs, asked, F32);
    return { outputs, trace: [...level.trace, ...trace], held };
  },
  check: checkRewritten,
});

/** Products with a Hadamard matrix as sums and differences, where a group has one lane. */
export const butterflyPass = (target: Target): Pass<Rewritten, Rewritten> => ({
  name: "butterflies",
  run: (level) =>
    target.serial
      ? {
        ...level,
        outputs: Object.fromEntries(
          Object.entries(level.outputs).map(([k, t]) => [k, butterflies(t)]),
        ),
        held: new Set([...level.held].map(butterflies)),
      }
      : level,
  check: checkRewritten,
});

/** Which terms one kernel makes. */
export const groupPass = (schedule: Schedule, target: Target): Pass<Rewritten, Planned> => ({
  name: "group",
  run: (level) => ({
    ...level,
    ...group(Object.values(level.outputs), level.held, schedule, target),
  }),
  check: checkPlans,
});

/** Plans become loops. */
export const skeletonPass = (
  skeletons: Skeletons,
  schedule: Schedule,
  target: Target,
): Pass<Planned, Lowered> => ({
  name: "skeletons",
  run: (level) => ({
    ...level,
    steps: level.plans.flatMap((plan, i) =>
      skeletons[plan.skeleton](plan, {
        materialized: new Set([...level.stored].filter((t) => !plan.roots.includes(t))),
        schedule,
        target,
        streamOf: (fold) =>
          level.plans.find((p) => p.skeleton === "stream" && p.roots.includes(fold))!,
        name: `${plan.skeleton}_${i}`,
      })
    ),
  }),
  check: ({ steps }) => checkKernels(steps),
});

/** Every pass before emission. */
export const pipeline = (
  skeletons: Skeletons,
  target: Target,
  schedule: Schedule = SCHEDULE,
  certify?: Certify,
): Pass<Outputs, Lowered> => {
  const fixed = then(rulesPass(certify), fixedPass(schedule, target));
  const bounded = then(then(fixed, pacedPass(target, certify)), boundsPass(certify));
  const terms = then(bounded, butterflyPass(target));
  return then(then(terms, groupPass(schedule, target)), skeletonPass(skeletons, schedule, target));
};

/** Runs the passes. */
export const lower = (
  outputs: Outputs,
  skeletons: Skeletons,
  target: Target,
  schedule: Schedule = SCHEDULE,
  certify?: Certify,
): Lowered => {
  const whole = pipeline(skeletons, target, schedule, certify);
  const lowered = whole.run(outputs);
  checked(whole, lowered);
  return lowered;
};
