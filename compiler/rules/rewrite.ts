/**
 * Applies the rules bottom-up until none fires.
 * @module
 */
import { argsOf, type Term, withArgs } from "../../dsl/core/term.ts";
import { CompileError } from "../errors.ts";
import { type Rule, RULES } from "./rules.ts";

/** A rule that fired. */
export interface Trace {
  readonly rule: string;
  readonly before: Term;
  readonly after: Term;
}

/** Rewrites of one program before it counts as a loop. */
const LIMIT = 10_000;

/** Terms after the rules, with what fired. */
export const rewrite = (
  outputs: Readonly<Record<string, Term>>,
  rules: readonly Rule[] = RULES,
): { outputs: Readonly<Record<string, Term>>; trace: readonly Trace[] } => {
  const memo = new Map<Term, Term>();
  const trace: Trace[] = [];
  const go = (term: Term): Term => {
    const known = memo.get(term);
    if (known !== undefined) return known;
    const here = withArgs(term, argsOf(term).map(go));
    let out = here;
    for (const rule of rules) {
      const after = rule.apply(here);
      if (after === undefined || after === here) continue;
      trace.push({ rule: rule.name, before: here, after });
      if (trace.length > LIMIT) {
        throw new CompileError("rules", `${rule.name} does not come to an end`);
      }
      out = go(after);
      break;
    }
    memo.set(term, out);
    memo.set(here, out);
    return out;
  };
  return {
    outputs: Object.fromEntries(Object.entries(outputs).map(([k, t]) => [k, go(t)])),
    trace,
  };
};
