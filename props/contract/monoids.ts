/**
 * The contract of monoids: each of `PROJECTIONS`, as a monoid and as a fold on devices.
 * @module
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { foldOver, gram, input, PROJECTIONS, softmaxFold } from "../../dsl/core/build.ts";
import * as M from "../../dsl/core/monoid.ts";
import type { MonoidName, Term } from "../../dsl/core/term.ts";
import { compile } from "../../mod.ts";
import { valuesFor } from "../caches.ts";
import { hold } from "../check.ts";
import { U } from "../laws/codec.ts";
import { excess } from "../laws/meaning.ts";
import { associativeLaw, identityLaw, near, type Same, splitLaw } from "../laws/monoid.ts";
import { scheduleArb } from "../schedules.ts";
import { type Clause, clauses } from "./clause.ts";

/** A monoid under test: laws on three segments, and what folds with it on a device. */
interface Subject {
  readonly identity: fc.IProperty<unknown>;
  readonly associative: fc.IProperty<unknown>;
  readonly split: fc.IProperty<unknown>;
  /** A fold along `tokens`, by what is read out. */
  readonly fold: (project: string) => Term;
}

/** Its elements, and when two folds of some segments are equal. */
interface Given<E, A> {
  readonly monoid: M.FoldMonoid<E, A>;
  readonly element: fc.Arbitrary<E>;
  readonly same: (elements: readonly E[]) => Same<A>;
  readonly fold: (project: string) => Term;
}

const subject = <E, A>({ monoid, element, same, fold }: Given<E, A>): Subject => {
  // Any of the three may be empty or of one element.
  const three = fc.array(fc.array(element, { maxLength: 12 }), { minLength: 3, maxLength: 3 });
  return {
    identity: fc.property(three, (s) => identityLaw(monoid, same(s.flat()), s[0])),
    associative: fc.property(three, (s) => associativeLaw(monoid, same(s.flat()), s)),
    split: fc.property(three, (s) => splitLaw(monoid, same(s.flat()), s)),
    fold,
  } as Subject;
};

const numbers = fc.oneof(
  fc.double({ min: -100, max: 100, noNaN: true }),
  fc.constantFrom(0, -0, 1e30, -1e30, 1e-30, 1e-40),
);
/** Vectors of n numbers. */
export const vectors = (n: number): fc.Arbitrary<Float64Array> =>
  fc.array(numbers, { minLength: n, maxLength: n }).map((v) => Float64Array.from(v));

/** What softmax folds: a score, masked or not, and a vector. */
export const SCORED = fc.record({
  score: fc.oneof(
    fc.double({ min: -100, max: 100, noNaN: true }),
    fc.constantFrom(M.MASKED, M.MASKED, -1e30, 1e30, 0),
  ),
  value: fc.array(fc.double({ min: -9, max: 9, noNaN: true }), { minLength: 2, maxLength: 2 })
    .map((v) => Float64Array.from(v)),
});
const mean = M.softmax(2).project.mean;

const x = input("x", ["tokens", 6], "f32");

/** One entry a monoid; a new one does not compile until it stands here. */
const SUBJECTS: Readonly<Record<MonoidName, Subject>> = {
  sum: subject({
    monoid: M.sum,
    element: numbers,
    // Rounding of the terms.
    same: (s) => {
      const limit = 2 * 36 * U * s.reduce((t, v) => t + Math.abs(v), 0);
      return (a, b) => Math.abs(a - b) <= limit;
    },
    fold: (project) => foldOver("sum", project, x, [0]),
  }),
  max: subject({
    monoid: M.max,
    element: numbers,
    same: () => (a, b) => a === b,
    fold: (project) => foldOver("max", project, x, [0]),
  }),
  extent: subject({
    monoid: M.extent,
    element: numbers,
    same: () => (a, b) => a.lo === b.lo && a.hi === b.hi,
    fold: (project) => foldOver("extent", project, x, [0]),
  }),
  gram: subject({
    monoid: M.gram(3),
    element: vectors(3),
    same: (s) => {
      const size = (v: Float64Array): number =>
        M.gram(3).lift(v).reduce((a, y) => a + Math.abs(y), 0);
      const limit = 2 * 37 * U * s.reduce((t, v) => t + size(v), 0);
      return (a, b) => near(a, b, limit);
    },
    fold: () => gram(x, [0]),
  }),
  softmax: subject({
    monoid: M.softmax(2),
    element: SCORED,
    // A score relative to the maximum is off by u · 200, and so is its weight; 36 terms of at most 9.
    same: () => (a, b) =>
      a.m === b.m &&
      near(mean(a) as Float64Array, mean(b) as Float64Array, 9 * (2 * 36 + 3 * 200) * U),
    fold: () =>
      softmaxFold(
        "h t, h t e -> h e",
        input("s", [2, "tokens"], "f32"),
        input("v", [2, "tokens", 6], "f32"),
      ),
  }),
};

const holds = (law: "identity" | "associative" | "split") => (thing: Subject, name: string) =>
  hold(thing[law], 300, [], name);

/** One token, a few, the ends of a chunk, and several chunks. */
const LENGTHS = [1, 3, 64, 65, 255, 256, 257, 700];

/** Every law of monoids on every monoid. */
export const monoidClauses: readonly Clause[] = clauses({
  kind: "monoid",
  things: SUBJECTS,
  laws: [
    { says: "the empty fold changes nothing, from either side", holds: holds("identity") },
    { says: "merging is associative", holds: holds("associative") },
    { says: "a fold of joined segments is the merge of their folds", holds: holds("split") },
  ],
  deviceLaws: [{
    says: "a device folds any number of tokens within rounding, however it splits them",
    holdsOn: async (device, { fold }, name) => {
      const terms = PROJECTIONS[name as MonoidName].map((project) => [project, fold(project)]);
      const outputs: Readonly<Record<string, Term>> = Object.fromEntries(terms);
      await hold(
        fc.asyncProperty(
          scheduleArb,
          fc.uniqueArray(fc.constantFrom(...LENGTHS), { minLength: 2, maxLength: 4 }),
          fc.nat(),
          async (schedule, lengths, seed) => {
            const program = await compile(outputs, { device, schedule });
            for (const tokens of lengths) {
              const inputs = Object.assign(
                {},
                ...Object.values(outputs).map((t) => valuesFor(t, { tokens }, seed)),
              );
              const values = await program.values(inputs, { tokens });
              for (const [project, term] of Object.entries(outputs)) {
                const env = { sizes: { tokens }, inputs };
                const over = excess(values[project], term, program.outputs[project], env);
                ok(over <= 0, `${project} of ${tokens} tokens: ${over} beyond the rounding`);
              }
            }
          },
        ),
        device.name === "webgpu" ? 2 : 12,
        [],
        name,
      );
    },
  }],
});
