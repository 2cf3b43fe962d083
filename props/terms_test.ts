import * as fc from "fast-check";
import { deepEqual, equal, ok } from "node:assert/strict";
import { countOf, sizeOf } from "../dsl/core/shape.ts";
import { intern, type Nodes, type Tag, type Term, topological } from "../dsl/core/term.ts";
import { evaluate } from "../dsl/read/eval.ts";
import { print } from "../dsl/read/print.ts";
import { check, seedNow } from "./check.ts";
import { count, kindsOf, WANTED } from "./coverage.ts";
import { MOST } from "./term_soil.ts";
import { termArb } from "./terms.ts";

/** The same contents given again, as new objects. */
const rebuilt = (term: Term): Term => {
  const { tag, id: _id, shape, dtype, ...fields } = term;
  return intern(tag, { ...fields } as unknown as Nodes[Tag], [...shape], dtype);
};

check(
  "termArb(): a term evaluates to finite numbers of its shape",
  fc.property(termArb(), ({ term, sizes, inputs }) => {
    const value = evaluate(term, { sizes, inputs });
    deepEqual(value.shape, term.shape.map((d) => sizeOf(d, sizes)));
    equal(value.data.length, countOf(term.shape, sizes));
    ok(value.data.every((x) => Number.isFinite(Math.fround(x))));
  }),
  300,
);

check(
  "termArb(): equal contents are the same object",
  fc.property(termArb(), ({ term }) => topological([term]).every((t) => rebuilt(t) === t)),
);

check(
  "termArb(): print() names every node once",
  fc.property(termArb(), ({ term }) => {
    const names = print(term).split("\n").map((l) =>
      l.startsWith("input ") ? l.split(" ")[1] : l.split(" ")[0]
    );
    equal(new Set(names).size, names.length);
    ok(names.length <= topological([term]).length);
  }),
);

Deno.test("termArb(): 500 samples hold every tag, dtype, operator and fold", () => {
  const seed = seedNow();
  const seen = new Map<string, number>();
  for (const { term, sizes } of fc.sample(termArb(), { numRuns: 500, seed })) {
    kindsOf(term).forEach((kind) => count(seen, kind));
    ok(
      topological([term]).every((t) => countOf(t.shape, sizes) <= MOST),
      `seed ${seed}: a node is too large`,
    );
  }
  for (const what of WANTED) {
    ok((seen.get(what) ?? 0) >= 5, `seed ${seed}: ${what} ${seen.get(what) ?? 0} times`);
  }
});
