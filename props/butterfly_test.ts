/** Binds products in stages to the dense product: form and meaning, and that no matrix is left. */
import { equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { butterflies } from "../compiler/rules/butterfly.ts";
import { broadcast, contractBy, input, map } from "../dsl/core/build.ts";
import { type Term, topological } from "../dsl/core/term.ts";
import { signsOf } from "../dsl/decompose/hadamard.ts";
import { randomSigns } from "../dsl/decompose/rotate.ts";
import { print } from "../dsl/read/print.ts";
import { cached, compile, lathe, quarot, turboquant } from "../mod.ts";
import { valuesFor } from "./caches.ts";
import { check } from "./check.ts";
import { meaningBroken, sameFormLaw } from "./laws/rules.ts";

/** A product with H in words: signs or other weights of its rows and columns in any order. */
interface Turn {
  readonly power: number;
  readonly heads: number;
  readonly tokens: number;
  readonly known: boolean;
  readonly across: boolean;
  /** What the product is multiplied by. */
  readonly by: number | undefined;
  readonly weights: readonly { readonly side: 0 | 1; readonly seed: number | "input" }[];
  readonly seed: number;
}

const turnOf = ({ power, heads, tokens, known, across, by, weights }: Turn): Term => {
  const n = 2 ** power;
  const h = weights.reduce<Term>((m, { side, seed }, i) => {
    const w = seed === "input" ? input(`w${i}`, [n], "f32") : randomSigns(n, seed);
    const spread = broadcast(w, [n, n], [side]);
    return i % 2 === 0 ? map("mul", m, spread) : map("mul", spread, m);
  }, signsOf(n));
  const x = input("x", [heads, known ? tokens : "tokens", n], "f32");
  const labels = {
    args: [["h", "t", "d"], across ? ["e", "d"] : ["d", "e"]],
    out: ["h", "t", "e"],
  };
  const product = contractBy(labels, x, h);
  return by === undefined ? product : map("mul", product, by);
};

/** Sizes that are taken apart; smaller ones stay products. */
const STAGED = 3;

const turnArb: fc.Arbitrary<Turn> = fc.record({
  power: fc.integer({ min: 1, max: 8 }),
  heads: fc.integer({ min: 1, max: 2 }),
  tokens: fc.integer({ min: 1, max: 5 }),
  known: fc.boolean(),
  across: fc.boolean(),
  by: fc.constantFrom(undefined, 0.125, Math.fround(1 / Math.sqrt(8)), 0.1),
  weights: fc.array(
    fc.record({
      side: fc.constantFrom(0, 1),
      seed: fc.oneof(fc.nat({ max: 65535 }), fc.constant("input" as const)),
    }),
    { maxLength: 3 },
  ),
  seed: fc.nat(),
});

check(
  "a product with a Hadamard matrix in stages has the form and the meaning of the product",
  fc.property(turnArb, (turn) => {
    const before = turnOf(turn);
    const after = butterflies(before);
    const step = { rule: "butterflies", before, after };
    const text = `${print(before)}\nbecame\n${print(after)}`;
    ok(sameFormLaw(step), `form: ${text}`);
    const sizes = { tokens: turn.tokens };
    ok(
      meaningBroken([step], { sizes, inputs: valuesFor(before, sizes, turn.seed) }) === undefined,
      `meaning: ${text}`,
    );
    const dense = topological([after]).some((t) =>
      t.tag === "contract" && t.args[1].shape.includes(2 ** turn.power)
    );
    ok(dense === (turn.known || turn.power < STAGED), `stages: ${text}`);
  }),
  120,
);

Deno.test("no rule hides a Hadamard matrix: what a rotated codec stores is decoded by one kernel", async () => {
  for (const codec of [quarot(4), quarot(4, 32), turboquant(4), lathe(4)]) {
    const { structure } = await compile({ x: cached(codec, "x", [2, "tokens", 64]) });
    equal(structure.kernels.map((k) => k.skeleton).join(), "encode");
  }
});
