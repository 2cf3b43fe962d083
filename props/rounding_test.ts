import * as fc from "fast-check";
import { ok } from "node:assert/strict";
import { F32, F64 } from "../dsl/read/machine.ts";
import { evaluate } from "../dsl/read/eval.ts";
import { print } from "../dsl/read/print.ts";
import { rounding } from "../dsl/read/rounding.ts";
import { check, seedNow } from "./check.ts";
import { simulate, type Whim } from "./simulate.ts";
import { termArb } from "./terms.ts";

const whimArb: fc.Arbitrary<Whim> = fc.record({
  flush: fc.boolean(),
  order: fc.constantFrom("forward", "backward", "pairs"),
  splits: fc.constantFrom(1, 2, 5),
  seed: fc.nat(),
}).map(({ seed, ...whim }) => {
  let state = seed;
  const noise = (): number => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return state / 2 ** 31 - 1;
  };
  return { ...whim, noise };
});

check(
  "rounding(): no f32 device, however it orders and flushes, is further off",
  fc.property(termArb(), whimArb, ({ term, ...env }, whim) => {
    const [{ value, error }] = rounding([term], env, F32);
    const device = simulate(term, env, whim);
    error.forEach((e, i) => {
      const off = Math.abs(device.data[i] - value.data[i]);
      ok(
        e === Infinity || off <= e,
        `element ${i}: ${device.data[i]} for ${value.data[i]}, bound ${e}\n${print(term)}`,
      );
    });
  }),
  2000,
);

check(
  "rounding(): the value is eval's",
  fc.property(termArb(), ({ term, ...env }) => {
    const [{ value }] = rounding([term], env, F64);
    ok(evaluate(term, env).data.every((x, i) => Object.is(x, value.data[i])));
  }),
);

Deno.test("rounding(): most elements of most terms have a bound", () => {
  const seed = seedNow();
  let [held, all] = [0, 0];
  for (const { term, ...env } of fc.sample(termArb(), { numRuns: 500, seed })) {
    const [{ error }] = rounding([term], env, F32);
    held += error.filter((e) => e < Infinity).length / error.length;
    all++;
  }
  ok(held > 0.8 * all, `seed ${seed}: ${held} of ${all}`);
});
