/**
 * Laws of the rules: a rewrite keeps the form and the meaning of a term, and comes to an end.
 * @module
 */
import { rewrite } from "../../compiler/rules/rewrite.ts";
import type { Rule } from "../../compiler/rules/views.ts";
import { argsOf, type Term, topological } from "../../dsl/core/term.ts";
import type { Env } from "../../dsl/read/eval.ts";
import { F64 } from "../../dsl/read/machine.ts";
import { rounding } from "../../dsl/read/rounding.ts";

/** One rule applied at one term. */
export interface Step {
  readonly rule: string;
  readonly before: Term;
  readonly after: Term;
}

/** Every rule at every term below, wherever it applies. */
export const stepsOf = (rules: readonly Rule[], term: Term): Step[] =>
  topological([term]).flatMap((before) =>
    rules.flatMap(({ name, apply }): Step[] => {
      const after = apply(before);
      return after === undefined || after === before ? [] : [{ rule: name, before, after }];
    })
  );

/** The steps that rewriting takes, and the whole of it. */
export const rewriteSteps = (term: Term): Step[] => {
  const { outputs, trace } = rewrite({ y: term });
  return [...trace, { rule: "rewrite", before: term, after: outputs.y }];
};

/** Shape and dtype stay. */
export const sameFormLaw = ({ before, after }: Step): boolean =>
  before.dtype === after.dtype && before.shape.length === after.shape.length &&
  before.shape.every((d, i) => d === after.shape[i]);

/** The first step whose two sides differ in f64 by more than their rounding; nothing if all keep it. */
export const meaningBroken = (steps: readonly Step[], env: Env): Step | undefined => {
  const sides = rounding(steps.flatMap((s) => [s.before, s.after]), env, F64);
  return steps.find((_, k) => {
    const [a, b] = [sides[2 * k], sides[2 * k + 1]];
    return a.value.data.some((x, i) =>
      !(x === b.value.data[i] || Math.abs(x - b.value.data[i]) <= a.error[i] + b.error[i])
    );
  });
};

/** After rewriting no fold is left that folds nothing. */
export const foldsSomethingLaw = (term: Term): boolean =>
  topological([rewrite({ y: term }).outputs.y]).every((t) =>
    t.tag !== "fold" || t.monoid === "gram" ||
    t.labels.args.flat().some((l) => !t.labels.out.includes(l))
  );

/** Products and folds on the longest way down. */
const depthOf = (term: Term): number => {
  const depth = new Map<Term, number>();
  for (const t of topological([term])) {
    const below = Math.max(0, ...argsOf(t).map((a) => depth.get(a)!));
    depth.set(t, below + (t.tag === "contract" || t.tag === "fold" ? 1 : 0));
  }
  return depth.get(term)!;
};

/**
 * Rewriting again and again changes nothing in the end. Algebra goes once from the outputs down: a
 * product whose operand became a sum or a scaled product only below it is looked at again in the next
 * round, and what leaves a fold may leave the one above it: two rounds a product or fold on the way down.
 */
export const settlesLaw = (term: Term): boolean => {
  const rounds = 2 * depthOf(term) + 2;
  let settled = term;
  for (let round = 0; round <= rounds; round++) settled = rewrite({ y: settled }).outputs.y;
  return rewrite({ y: settled }).outputs.y === settled;
};
