/**
 * Binds scores whose slow factors meet the query once a run of tokens to the scores as written: form and meaning,
 * and what a device makes of them at places beyond one digit.
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import {
  attend,
  cached,
  type Codec,
  compile,
  input,
  lathe,
  SCHEDULE,
  type Schedule,
  window,
} from "../mod.ts";
import { hoist } from "../compiler/constants.ts";
import { lower } from "../compiler/pipeline.ts";
import { paceOf } from "../compiler/lower/pace.ts";
import { pacedScores } from "../compiler/rules/paced.ts";
import { rewrite } from "../compiler/rules/rewrite.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { iota, map } from "../dsl/core/build.ts";
import { digit, fromMiddle, over, sideOf } from "../dsl/core/digits.ts";
import type { Term } from "../dsl/core/term.ts";
import { evaluate } from "../dsl/read/eval.ts";
import { print } from "../dsl/read/print.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { valuesFor } from "./caches.ts";
import { check, hold } from "./check.ts";
import { excess } from "./laws/meaning.ts";
import { meaningBroken, sameFormLaw } from "./laws/rules.ts";
import { scheduleArb } from "./schedules.ts";

/** Attention over keys with a mean before RoPE, in words. */
interface Turned {
  readonly pairs: "halves" | "neighbours";
  readonly dim: number;
  readonly rows: number;
  readonly queries: number;
  readonly held: { readonly sinks: number; readonly tail: number } | undefined;
  readonly tokens: number;
  readonly seed: number;
}

const codecOf = ({ pairs, held }: Turned): Codec => {
  const codec = lathe(2, { rope: { base: 1e4, pairs } });
  return held === undefined ? codec : window(held, codec);
};

const outOf = (turned: Turned): Term => {
  const { dim, rows, queries } = turned;
  const shape = [2, "tokens", dim] as const;
  return attend({
    q: input("q", [2, rows, queries, dim], "f32"),
    k: cached(codecOf(turned), "k", shape),
    v: input("v", shape, "f32"),
  });
};

const turnedArb = (tokens: number): fc.Arbitrary<Turned> =>
  fc.record({
    pairs: fc.constantFrom("halves", "neighbours"),
    dim: fc.constant(32),
    rows: fc.constantFrom(1, 2, 3),
    queries: fc.constant(1),
    held: fc.option(
      fc.record({ sinks: fc.constantFrom(0, 3), tail: fc.constantFrom(1, 5) }),
      { nil: undefined },
    ),
    tokens: fc.integer({ min: 1, max: tokens }),
    seed: fc.nat(),
  });

check(
  "digits of whole numbers are those of integers, and change as often as their pace says",
  fc.property(
    fc.integer({ min: 2, max: 600 }),
    fc.nat({ max: 5000 }),
    fc.integer({ min: 1, max: 300 }),
    (n, start, count) => {
      const places = iota([count], 0, start);
      const value = (t: Term): Float64Array => evaluate(t, { sizes: {}, inputs: {} }).data;
      const [high, last] = [value(over(places, n)), value(digit(places, n))];
      high.forEach((x, i) => ok(x === Math.floor((start + i) / n)));
      last.forEach((x, i) => ok(x === (start + i) % n));
      const both = map("add", over(places, n), over(over(places, n), 3));
      for (const t of [over(places, n), both, digit(over(places, n), 3)]) {
        const pace = paceOf(t, 0);
        value(t).forEach((x, i, all) => ok(i % pace === 0 || x === all[i - 1], print(t)));
      }
      ok(start !== 0 || paceOf(over(places, n), 0) === n);
      const even = 2 * n;
      const middle = value(fromMiddle(digit(places, even), even));
      const sides = value(sideOf(places, even));
      middle.forEach((x, i) => {
        const away = (start + i) % even - (even - 1) / 2;
        ok(x === Math.abs(away) - 0.5 && sides[i] === Math.sign(away));
      });
    },
  ),
  100,
);

check(
  "scores with their slow factors apart have the form and the meaning of the scores",
  fc.property(turnedArb(40), (turned) => {
    const before = rewrite({ out: outOf(turned) }).outputs.out;
    const after = pacedScores({ out: before }).out;
    const step = { rule: "paced", before, after };
    const sizes = { tokens: turned.tokens };
    const text = `${print(before)}\nbecame\n${print(after)}`;
    ok(after !== before, `nothing is slow: ${text}`);
    ok(sameFormLaw(step), `form: ${text}`);
    const env = { sizes, inputs: valuesFor(before, sizes, turned.seed) };
    ok(meaningBroken([step], env) === undefined, `meaning: ${text}`);
  }),
  20,
);

Deno.test("what is slow is made once a run, and runs are whole chunks or chunks whole runs; for a block of queries it stays", () => {
  const given: Turned = {
    pairs: "halves",
    dim: 32,
    rows: 4,
    queries: 1,
    held: undefined,
    tokens: 1,
    seed: 0,
  };
  for (const chunk of [13, 200, 256, 1000]) {
    const { plans } = lower(hoist({ out: outOf(given) }).outputs, SKELETONS, WASM_TARGET, {
      ...SCHEDULE,
      chunk,
    });
    const [stream] = plans.filter((p) => p.skeleton === "stream");
    const whole = 256 % stream.tile === 0 || stream.tile % 256 === 0;
    ok(stream.paced?.size === 4 && whole, `${chunk}: ${stream.tile}`);
  }
  const { plans } = lower(
    hoist({ out: outOf({ ...given, queries: 40 }) }).outputs,
    SKELETONS,
    WASM_TARGET,
  );
  ok(plans.every((p) => (p.paced?.size ?? 0) === 0));
});

Deno.test("a device makes the scores of turned means at places of two digits", async () => {
  const run = async (turned: Turned, schedule: Schedule): Promise<void> => {
    const out = outOf(turned);
    const sizes = { tokens: turned.tokens };
    const inputs = valuesFor(out, sizes, turned.seed);
    const program = await compile({ out }, { schedule });
    const { out: got } = await program.values(inputs, sizes);
    const over = excess(got, out, program.outputs.out, { sizes, inputs });
    ok(over <= 0, `${over} beyond rounding: ${JSON.stringify({ turned, schedule })}`);
  };
  await hold(fc.asyncProperty(turnedArb(600), scheduleArb, run), 4, [
    [
      {
        pairs: "halves",
        dim: 32,
        rows: 3,
        queries: 1,
        held: { sinks: 3, tail: 5 },
        tokens: 700,
        seed: 1,
      },
      { ...SCHEDULE, chunk: 512 },
    ],
  ]);
});
