/**
 * Applies the rules: views bottom-up, algebra from the outputs down.
 * @module
 */
import { argsOf, type Term, withArgs } from "../../dsl/core/term.ts";
import { CompileError } from "../errors.ts";
import { ALGEBRA_RULES } from "./rules.ts";
import { type Rule, VIEW_RULES } from "./views.ts";

/** A rule that fired. */
export interface Trace {
  readonly rule: string;
  readonly before: Term;
  readonly after: Term;
}

/** Rewrites of one program before it counts as a loop. */
const LIMIT = 2_000;

/** Terms after the rules, with what fired; terms that are `kept` stay as they are. */
export const rewrite = (
  outputs: Readonly<Record<string, Term>>,
  kept: ReadonlySet<Term> = new Set(),
  algebraRules: readonly Rule[] = ALGEBRA_RULES,
): { outputs: Readonly<Record<string, Term>>; trace: readonly Trace[] } => {
  const trace: Trace[] = [];
  const fire = (term: Term, rules: readonly Rule[]): Term | undefined => {
    for (const rule of rules) {
      const after = rule.apply(term);
      if (after === undefined || after === term) continue;
      trace.push({ rule: rule.name, before: term, after });
      if (trace.length > LIMIT) {
        throw new CompileError("rules", `${rule.name} does not come to an end`);
      }
      return after;
    }
    return undefined;
  };
  const still = [...kept].map((t): [Term, Term] => [t, t]);
  const viewed = new Map<Term, Term>(still);
  const views = (term: Term): Term => {
    const known = viewed.get(term);
    if (known !== undefined) return known;
    const here = withArgs(term, argsOf(term).map(views));
    const after = fire(here, VIEW_RULES);
    const out = after === undefined ? here : views(after);
    viewed.set(term, out);
    viewed.set(out, out);
    return out;
  };
  const done = new Map<Term, Term>(still);
  const algebra = (term: Term): Term => {
    const known = done.get(term);
    if (known !== undefined) return known;
    let here = term;
    for (
      let after = fire(here, algebraRules);
      after !== undefined;
      after = fire(here, algebraRules)
    ) {
      here = views(after);
    }
    const out = views(withArgs(here, argsOf(here).map(algebra)));
    done.set(term, out);
    done.set(out, out);
    return out;
  };
  return {
    outputs: Object.fromEntries(Object.entries(outputs).map(([k, t]) => [k, algebra(views(t))])),
    trace,
  };
};
