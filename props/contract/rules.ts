/**
 * The contract of rules: each row of `RULES`, on every step that it takes in random terms and in
 * attention over any two codecs.
 * @module
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { RULES } from "../../compiler/rules/rules.ts";
import type { Rule } from "../../compiler/rules/views.ts";
import type { Term } from "../../dsl/core/term.ts";
import { print } from "../../dsl/read/print.ts";
import { cachedArb, cachedSample } from "../caches.ts";
import { hold } from "../check.ts";
import * as L from "../laws/rules.ts";
import { type Sample, termArb } from "../terms.ts";
import { type Clause, clauses } from "./clause.ts";

const samples: fc.Arbitrary<Sample> = fc.oneof(
  { weight: 4, arbitrary: termArb() },
  { weight: 1, arbitrary: cachedArb.map(cachedSample) },
);

/** Steps of every rule at a term: wherever one applies, and all that rewriting takes. */
const known = new Map<Term, readonly L.Step[]>();
const stepsAt = (term: Term): readonly L.Step[] => {
  const steps = known.get(term) ?? [...L.stepsOf(RULES, term), ...L.rewriteSteps(term)];
  known.set(term, steps);
  return steps;
};

const text = ({ before, after }: L.Step): string => `${print(before)}\nbecame\n${print(after)}`;

/** All rules meet the same terms, so that the steps of a term are found once. */
const onSteps =
  (law: (steps: readonly L.Step[], sample: Sample) => L.Step | undefined) =>
  async ({ name }: Rule): Promise<void> => {
    let taken = 0;
    await hold(
      fc.property(samples, (sample) => {
        const steps = stepsAt(sample.term).filter(({ rule }) => rule === name);
        taken += steps.length;
        const broken = steps.length === 0 ? undefined : law(steps, sample);
        ok(broken === undefined, broken && text(broken));
      }),
      400,
    );
    ok(taken > 0, `${name} never applied: grow a term for it in props/term_kinds.ts`);
  };

/** Every law of rules on every rule. */
export const ruleClauses: readonly Clause[] = clauses({
  kind: "rule",
  things: Object.fromEntries(RULES.map((rule) => [rule.name, rule])),
  laws: [
    {
      says: "it applies somewhere, and keeps shape and dtype",
      holds: onSteps((steps) => steps.find((step) => !L.sameFormLaw(step))),
    },
    {
      says: "both sides mean the same in f64, within rounding",
      holds: onSteps(L.meaningBroken),
    },
  ],
});
