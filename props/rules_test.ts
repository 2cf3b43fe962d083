/** Binds the laws of the rules: to random terms, and to attention over every codec. */
import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { RULES } from "../compiler/rules/rules.ts";
import { broadcast, contract, input, map, reshape } from "../dsl/core/build.ts";
import type { Sizes } from "../dsl/core/shape.ts";
import type { Term } from "../dsl/core/term.ts";
import { print } from "../dsl/read/print.ts";
import { attention, CASES, valuesFor } from "./caches.ts";
import { hold } from "./check.ts";
import * as L from "./laws/rules.ts";
import { termArb } from "./terms.ts";

/** Holds a term to all laws; the names of the rules that applied. */
const lawful = (
  term: Term,
  sizes: Sizes,
  inputs: Record<string, number[]>,
): string[] => {
  const steps = [...L.stepsOf(RULES, term), ...L.rewriteSteps(term)];
  const text = ({ rule, before, after }: L.Step): string =>
    `${rule}\n${print(before)}\nbecame\n${print(after)}`;
  for (const step of steps) ok(L.sameFormLaw(step), `form: ${text(step)}`);
  const broken = L.meaningBroken(steps, { sizes, inputs });
  ok(broken === undefined, broken && `meaning: ${text(broken)}`);
  ok(L.settlesLaw(term), `rewriting does not settle:\n${print(term)}`);
  return steps.map((s) => s.rule);
};

/** Found by the property below, pinned as they shrank, and what it seldom grows. */
const PINNED: Readonly<Record<string, () => Term>> = {
  // A trailing axis of one was split off an operand and merged back for ever.
  "an axis of one": () =>
    contract(
      "a b, c -> c b",
      reshape(input("x", [16, 1], "f32"), [8, 2]) as Term<[8, 2]>,
      input("w", [2], "f32"),
    ),
  // Bounds are made of these: a scale of a group of channels, seen as channels.
  "a merged scale": () =>
    map("abs", reshape(broadcast(input("s", [2, 3], "f32"), [2, 3, 4], [0, 1]), [2, 12])),
};

Deno.test("rules keep form and meaning, come to an end, and all apply", async () => {
  const fired = new Map<string, number>(RULES.map(({ name }) => [name, 0]));
  const count = (names: string[]): void =>
    names.forEach((n) => fired.has(n) && fired.set(n, fired.get(n)! + 1));
  Object.values(PINNED).forEach((term) => count(lawful(term(), {}, valuesFor(term(), {}, 1))));
  await hold(
    fc.property(termArb(), ({ term, sizes, inputs }) => count(lawful(term, sizes, inputs))),
    600,
  );
  await hold(
    fc.property(
      fc.constantFrom(...Object.keys(CASES)),
      fc.record({
        heads: fc.constantFrom(1, 2),
        group: fc.constantFrom(1, 2),
        rows: fc.constantFrom(1, 2, "rows"),
        tokens: fc.constantFrom(1, 5, 20, "tokens"),
        causal: fc.boolean(),
      }),
      fc.nat(),
      (name, form, seed) => {
        const given = CASES[name];
        const tokens = given.streams || form.tokens !== "tokens" ? form.tokens : 7;
        const term = attention(given, { ...form, tokens });
        const sizes = { rows: 3, tokens: 7 };
        count(lawful(term, sizes, valuesFor(term, sizes, seed)));
      },
    ),
    150,
  );
  const idle = [...fired].flatMap(([name, n]) => n === 0 ? [name] : []);
  deepEqual(idle, [], `rules that never applied: ${idle.join(", ")}`);
});

for (const [name, term] of Object.entries(PINNED)) {
  Deno.test(`rules, pinned: ${name}`, () => {
    lawful(term(), {}, valuesFor(term(), {}, 1));
  });
}
