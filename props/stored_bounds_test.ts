/** What can be said of every codec from what is stored: where its values lie, and a finite certificate. */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { codeRange } from "../dsl/bound/codes.ts";
import { codecBound } from "../dsl/codec/bound.ts";
import { cached } from "../dsl/codec/codec.ts";
import { holdsCodes } from "../dsl/core/codes.ts";
import { input } from "../dsl/core/build.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { evalAll } from "../dsl/read/eval.ts";
import { F32 } from "../dsl/read/machine.ts";
import { KINDS, samples, tensorOf } from "./arbitraries.ts";
import { check } from "./check.ts";
import { type Case, CODECS, rangesOf, SCHEME_CASES } from "./codecs.ts";

const named = (cases: Readonly<Record<string, Case>>) => fc.constantFrom(...Object.keys(cases));

check(
  "bound: what a codec decodes lies in the range that its codes can hold, and every codec with codes has one",
  fc.property(named(CODECS), samples([16], 2, 9), (name, sample) => {
    const { codec, channels: [channels] } = CODECS[name];
    if (codec.selective !== undefined) return;
    const { data, shape } = tensorOf({ ...sample, channels });
    const value = cached(codec, "k", shape);
    if (!holdsCodes(value)) return;
    const range = codeRange(value);
    ok(range !== undefined, name);
    const parts = codec.encode(input("x", shape, "f32"));
    const stored = evalAll(Object.values(parts), { sizes: {}, inputs: { x: data } });
    const inputs = Object.fromEntries(Object.keys(parts).map((p, i) => [`k.${p}`, stored[i].data]));
    const [x, lo, hi] = evalAll([value, range.lo, range.hi], { sizes: {}, inputs });
    x.data.forEach((v, i) => {
      // Both ends are sums of what the value is made of, in another order.
      const slack = 2 ** -40 * (Math.abs(lo.data[i]) + Math.abs(hi.data[i]));
      ok(v >= lo.data[i] - slack && v <= hi.data[i] + slack, `${name}, ${sample.kind}`);
    });
  }),
  400,
);

/** Numbers whose squares a device holds. */
const HELD = KINDS.filter((kind) => !["denormal", "tiny", "huge", "mixed scales"].includes(kind));

check(
  "bound: the certificate of every scheme on a device is finite, and holds",
  fc.property(
    named(SCHEME_CASES),
    samples([16], 2, 5),
    fc.constantFrom(...HELD),
    (name, sample, kind) => {
      const { codec, channels: [channels] } = SCHEME_CASES[name];
      const { data, shape } = tensorOf({ ...sample, kind, channels });
      const x = input("x", shape, "f32");
      const parts = codec.encode(x);
      const bound = codecBound(codec, x, parts, { machine: F32 });
      const terms = [codec.decode(parts, shape), bound];
      const [back, most] = evalAll(terms, { sizes: {}, inputs: { x: data } });
      data.forEach((v, i) => {
        ok(most.data[i] < 1e30, `${name}, ${kind}: ${most.data[i]} is no claim`);
        ok(Math.abs(v - back.data[i]) <= most.data[i], `${name}, ${kind}, at ${i}`);
      });
    },
  ),
  150,
);

Deno.test("bound: a whole number that was rounded is no choice: its certificate is of all with the same scales", () => {
  const x = input("x", [1, 1, 16], "f32");
  const data = Float64Array.from({ length: 16 }, (_, i) => i === 0 ? 7 : 0.25);
  for (const range of rangesOf(4)) {
    const codec = quantize({ bits: 4, per: "token", range });
    const bound = codecBound(codec, x, codec.encode(x));
    const [{ data: most }] = evalAll([bound], { sizes: {}, inputs: { x: data } });
    // Half a step of 7 levels or more, whatever the values are.
    ok(most.every((b) => b >= 7 / 15 / 2 - 1e-2), `${range}: ${most.join()}`);
  }
});
