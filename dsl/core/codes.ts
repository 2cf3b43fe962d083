/**
 * Questions about everything a term is made of, each answered once.
 * @module
 */
import { isPacked } from "./dtype.ts";
import { argsOf, type Term } from "./term.ts";

/** Does the test hold for the term or anything below it? Answers are kept as long as the terms are. */
export const anywhere = (test: (t: Term) => boolean): (term: Term) => boolean => {
  const known = new WeakMap<Term, boolean>();
  const found = (term: Term): boolean => {
    const old = known.get(term);
    if (old !== undefined) return old;
    const here = test(term) || argsOf(term).some(found);
    known.set(term, here);
    return here;
  };
  return found;
};

/** Does the value depend on anything that is given when a program runs? */
export const isGiven: (term: Term) => boolean = anywhere((t) => t.tag === "input");

/** Is the value decoded from packed codes? */
export const holdsCodes: (term: Term) => boolean = anywhere((t) => isPacked(t.dtype));
