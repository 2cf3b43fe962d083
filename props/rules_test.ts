/** Binds the laws of rewriting as a whole; those of every rule are in `contract/rules.ts`. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { broadcast, contract, input, reshape } from "../dsl/core/build.ts";
import type { Term } from "../dsl/core/term.ts";
import { attend, cached, identity, on, preRope, quantize } from "../mod.ts";
import { pipe } from "../fp.ts";
import { print } from "../dsl/read/print.ts";
import { cachedArb, cachedSample, valuesFor } from "./caches.ts";
import { check } from "./check.ts";
import * as L from "./laws/rules.ts";
import { type Sample, termArb } from "./terms.ts";

/** Rewriting keeps form and meaning from its first term to its last, folds something, and comes to an end. */
const lawful = ({ term, sizes, inputs }: Sample): void => {
  const whole = L.rewriteSteps(term).slice(-1);
  const text = ({ after }: L.Step): string => `${print(term)}\nbecame\n${print(after)}`;
  ok(whole.every(L.sameFormLaw), `form: ${text(whole[0])}`);
  const broken = L.meaningBroken(whole, { sizes, inputs });
  ok(broken === undefined, broken && `meaning: ${text(broken)}`);
  ok(L.foldsSomethingLaw(term), `a fold over no axis is left of\n${print(term)}`);
  ok(L.settlesLaw(term), `rewriting does not settle:\n${print(term)}`);
};

check(
  "rewriting any term keeps form and meaning, and comes to an end",
  fc.property(termArb(), lawful),
  600,
);
check(
  "rewriting attention over any two codecs keeps form and meaning, and comes to an end",
  fc.property(cachedArb.map(cachedSample), lawful),
  100,
);

/** Found by the properties above: pinned as they shrank. */
const PINNED: Readonly<Record<string, () => Term>> = {
  // A trailing axis of one was split off an operand and merged back for ever.
  "an axis of one": () =>
    contract(
      "a b, c -> c b",
      reshape(input("x", [16, 1], "f32"), [8, 2]) as Term<[8, 2]>,
      input("w", [2], "f32"),
    ),
  // `sum-first` folds what repeats, and `repeated-out-of-fold` left a sum over no axis.
  "a sum of what repeats": () =>
    contract(
      "a b, c -> c a",
      broadcast(input("s", [3], "f16"), [3, 4], [0]),
      input("w", [2], "f32"),
    ),
  // The query met the angles of tokens before it met the codes, which is as much work, and went back for ever.
  "angles of tokens": () => {
    const codes = quantize({ bits: 8, per: "channel", range: "asymmetric" });
    const keys = pipe(preRope({ base: 10, pairs: "halves" }), on("values", codes));
    return attend({
      q: input("q", [1, 1, 2, 16], "f32"),
      k: cached(keys, "k", [1, "tokens", 16]),
      v: cached(identity, "v", [1, "tokens", 16]),
    });
  },
};

for (const [name, term] of Object.entries(PINNED)) {
  Deno.test(`rules, pinned: ${name}`, () => {
    const sizes = { tokens: 3 };
    lawful({ term: term(), sizes, inputs: valuesFor(term(), sizes, 1) });
  });
}
