import * as fc from "fast-check";
import { deepEqual, equal, ok } from "node:assert/strict";
import { DTYPES } from "../dsl/core/dtype.ts";
import { PROJECTIONS } from "../dsl/core/build.ts";
import { OPS } from "../dsl/core/ops.ts";
import { countOf, sizeOf } from "../dsl/core/shape.ts";
import { intern, type Nodes, type Tag, type Term, topological } from "../dsl/core/term.ts";
import { evaluate } from "../dsl/read/eval.ts";
import { print } from "../dsl/read/print.ts";
import { MOST } from "./term_soil.ts";
import { termArb } from "./terms.ts";

/** Every tag but `routine`; a new tag does not compile until it stands here. */
const TAGS: Readonly<Record<Exclude<Tag, "routine">, true>> = {
  input: true,
  constant: true,
  table: true,
  iota: true,
  map: true,
  cast: true,
  reshape: true,
  permute: true,
  broadcast: true,
  slice: true,
  concat: true,
  gather: true,
  contract: true,
  fold: true,
};

/** The same contents given again, as new objects. */
const rebuilt = (term: Term): Term => {
  const { tag, id: _id, shape, dtype, ...fields } = term;
  return intern(tag, { ...fields } as unknown as Nodes[Tag], [...shape], dtype);
};

Deno.test("termArb(): a term evaluates to finite numbers of its shape", () => {
  fc.assert(
    fc.property(termArb(), ({ term, sizes, inputs }) => {
      const value = evaluate(term, { sizes, inputs });
      deepEqual(value.shape, term.shape.map((d) => sizeOf(d, sizes)));
      equal(value.data.length, countOf(term.shape, sizes));
      ok(value.data.every((x) => Number.isFinite(Math.fround(x))));
    }),
    { numRuns: 300 },
  );
});

Deno.test("termArb(): equal contents are the same object", () => {
  fc.assert(
    fc.property(termArb(), ({ term }) => topological([term]).every((t) => rebuilt(t) === t)),
  );
});

Deno.test("termArb(): print() names every node once", () => {
  fc.assert(
    fc.property(termArb(), ({ term }) => {
      const names = print(term).split("\n").map((l) =>
        l.startsWith("input ") ? l.split(" ")[1] : l.split(" ")[0]
      );
      equal(new Set(names).size, names.length);
      ok(names.length <= topological([term]).length);
    }),
  );
});

Deno.test("termArb(): 500 samples hold every tag, dtype, operator and fold", () => {
  const seed = Date.now() & 0x7fffffff;
  const seen = new Map<string, number>();
  const count = (what: string): unknown => seen.set(what, (seen.get(what) ?? 0) + 1);
  const note = (t: Term): void => {
    [t.tag, t.dtype].forEach(count);
    if (t.tag === "map") count(`map ${t.op}`);
    if (t.tag === "fold") count(`fold ${t.monoid} ${t.project}`);
    if (t.tag === "input") count(`input ${t.dtype}`);
  };
  for (const { term, sizes } of fc.sample(termArb(), { numRuns: 500, seed })) {
    const nodes = topological([term]);
    nodes.forEach(note);
    ok(nodes.every((t) => countOf(t.shape, sizes) <= MOST), `seed ${seed}: a node is too large`);
  }
  const wanted = [
    ...Object.keys(TAGS),
    ...Object.keys(DTYPES).filter((d) => d !== "i16").flatMap((d) => [d, `input ${d}`]),
    ...Object.keys(OPS).map((op) => `map ${op}`),
    ...Object.entries(PROJECTIONS).flatMap(([m, ps]) => ps.map((p) => `fold ${m} ${p}`)),
  ];
  for (const what of wanted) {
    ok((seen.get(what) ?? 0) >= 5, `seed ${seed}: ${what} ${seen.get(what) ?? 0} times`);
  }
});
