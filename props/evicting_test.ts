/** Binds the laws of caches of bounded memory: the fold, what is stored, and what codecs are refused. */
import { equal, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  attend,
  byHead,
  center,
  compile,
  evicting,
  type Eviction,
  f16,
  heavyHitters,
  heldBits,
  identity,
  input,
  keep,
  keptOf,
  kivi,
  movingWindow,
  nothing,
  on,
  openBounded,
  rtn,
  rtnGrouped,
  stepped,
  tova,
  window,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { ValueError } from "../dsl/core/errors.ts";
import { normals, tensorOf } from "./arbitraries.ts";
import { check, hold } from "./check.ts";
import { CODECS } from "./codecs.ts";
import { DEVICES, onDevices } from "./devices.ts";
import * as L from "./laws/evicting.ts";

const evictionArb: fc.Arbitrary<Required<Eviction>> = fc.record({
  sinks: fc.integer({ min: 0, max: 2 }),
  recent: fc.integer({ min: 1, max: 5 }),
  heavy: fc.integer({ min: 0, max: 4 }),
  decay: fc.constantFrom(0, 0.5, 1),
  shared: fc.boolean(),
});

/** Lengths of steps that a cache can take. */
const stepsOf = (lengths: readonly number[], { recent }: Required<Eviction>): number[] =>
  lengths.map((n) => 1 + n % recent);

const lengthsArb = fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 14 });

check(
  "a window holds the first tokens and the newest, however they came",
  fc.property(evictionArb, lengthsArb, (eviction, lengths) => {
    const codecs = evicting({ ...eviction, heavy: 0 }, f16);
    return L.windowLaw(codecs, 2, stepsOf(lengths, eviction)) && L.ringLaw(codecs, lengths.length);
  }),
  200,
);

check(
  "what goes counts least of what may go; first and newest tokens stay",
  fc.property(evictionArb, lengthsArb, fc.nat(), (eviction, lengths, seed) => {
    const next = normals(seed);
    // Halves of small numbers, so that some are equal.
    const received = (held: { readonly places: readonly (readonly number[])[] }) =>
      held.places.flat().map(() => Math.round(Math.abs(next())) / 2);
    return L.evictionLaw(evicting(eviction, f16), 2, stepsOf(lengths, eviction), received);
  }),
  300,
);

check(
  "attention that tokens receive is what plain loops say",
  fc.property(
    fc.record({
      seed: fc.nat(),
      heads: fc.integer({ min: 1, max: 2 }),
      group: fc.integer({ min: 1, max: 2 }),
      rows: fc.integer({ min: 1, max: 3 }),
      tokens: fc.integer({ min: 1, max: 7 }),
      behind: fc.nat({ max: 3 }),
    }),
    ({ seed, heads, group, rows, tokens, behind }) => {
      const q = tensorOf({ kind: "normal", seed, heads, tokens: group * rows, channels: 4 });
      const k = tensorOf({ kind: "normal", seed: seed + 1, heads, tokens, channels: 4 }).data;
      // Places far apart in no order; the first row sees some of them.
      const places = Array.from(
        { length: heads },
        (_, h) => Array.from({ length: tokens }, (_, t) => (5 * t + 3 * h) % 31),
      );
      const offset = Math.max(...places.flat()) - behind;
      // The term is f32 where it is stored, at the end.
      return L.receivedApart(q, k, places, group, offset) < 1e-6;
    },
  ),
  100,
);

const refused = (codec: Parameters<typeof evicting>[1], eviction: Eviction) =>
  openBounded(evicting(eviction, codec), [2, 64], { device: "eval" });

/** Names of the codecs whose tokens go one by one, by a window and by heads of their own. */
const [WINDOWED, APART] = await Promise.all(
  [{ recent: 3 }, { recent: 3, heavy: 2 }].map(async (eviction) => {
    const found = await Promise.all(
      Object.entries(CODECS).filter(([, { streams }]) => streams).map(async ([name, given]) => {
        try {
          const codecs = evicting(eviction, given.codec);
          const cache = await openBounded(codecs, [2, given.channels[0]], { device: "eval" });
          cache.dispose();
          return [name];
        } catch (error) {
          if (error instanceof ValueError) return [];
          throw error;
        }
      }),
    );
    return found.flat();
  }),
);

Deno.test("most codecs have tokens that go one by one", () => {
  const all = Object.values(CODECS).filter(({ streams }) => streams).length;
  ok(WINDOWED.length > 0.6 * all, `${WINDOWED.length} of ${all}`);
  ok(APART.length > 0.5 * all, `${APART.length} of ${all}`);
  ok(APART.every((name) => WINDOWED.includes(name)));
});

const takenArb = fc.record({
  eviction: evictionArb,
  of: fc.nat(),
  seed: fc.nat(),
  group: fc.integer({ min: 1, max: 2 }),
  lengths: fc.array(fc.nat({ max: 6 }), { minLength: 1, maxLength: 9 }),
  singles: fc.boolean(),
});

const law = (device: Parameters<typeof L.cacheBroken>[0], runs: number): Promise<void> =>
  hold(
    fc.asyncProperty(takenArb, async ({ eviction, of, seed, group, lengths, singles }) => {
      const names = eviction.heavy === 0 || eviction.shared ? WINDOWED : APART;
      const { codec, channels: [channels] } = CODECS[names[of % names.length]];
      const steps = singles ? lengths.map(() => 1) : stepsOf(lengths, eviction);
      const tokens = steps.reduce((a, b) => a + b);
      const [k, v, q] = [1, 1, group].map((n, i) =>
        tensorOf({ kind: "normal", seed: seed + i, heads: 2, tokens: n * tokens, channels })
      ).map((x) => ({ ...x, data: x.data.map(Math.fround) }));
      equal(
        await L.cacheBroken(device, evicting(eviction, codec), { k, v, q, group, steps }),
        undefined,
      );
    }),
    runs,
  );

onDevices("a cache holds what the fold says, as its codecs store it", { wasm: 60, webgpu: 4 }, law);
Deno.test("eval: a cache holds what the fold says, as its codecs store it", () =>
  DEVICES.eval((device) => law(device, 20)));

Deno.test("memory does not grow, and attention is one stream over what is held", async () => {
  const codecs = heavyHitters({ heavy: 8, recent: 7, sinks: 1 }, rtnGrouped(4));
  const cache = await openBounded(codecs, [2, 64]);
  const next = normals(1);
  const some = (n: number) => Array.from({ length: n }, next);
  const step = async () => {
    await cache.append({ k: some(128), v: some(128) });
    await cache.observe(some(256));
  };
  for (let i = 0; i < 20; i++) await step();
  const bytes = cache.bytes();
  for (let i = 0; i < 40; i++) await step();
  equal(cache.bytes(), bytes);
  equal(cache.tokens(), 16);
  equal(cache.seen(), 60);
  const q = input("q", [2, 2, 1, 64], "f32");
  const offset = input("offset", [], "f32");
  for (const causal of [{}, { causal: { offset } }]) {
    const program = await compile({
      out: attend({ q, ...keptOf(codecs, cache.shape), ...causal }),
    });
    equal(program.structure.kernels.filter((k) => k.skeleton === "stream").length, 1);
    equal(program.structure.kernels.length, 2);
  }
  cache.dispose();
});

Deno.test("what is refused says why, by name", async () => {
  const one = { recent: 4 };
  await rejects(refused(kivi(2, 16, 16).k, one), /holds its newest tokens apart/);
  await rejects(refused(window({ tail: 4 }, f16), one), /holds its newest tokens apart/);
  await rejects(refused(keep({}, { share: 0.5 })(f16), one), /chooses tokens itself/);
  const apart = { recent: 2, heavy: 2 };
  await rejects(refused(rtn(4), apart), /k\.scale \["tokens"\] has no axis of 2 heads/);
  await rejects(
    refused(byHead((h) => h === 0 ? f16 : rtnGrouped(4)), apart),
    /has no axis of 2 heads/,
  );
  (await refused(rtn(4), { ...apart, shared: true })).dispose();
  (await refused(pipe(center(), on("values", rtnGrouped(4))), apart)).dispose();
  throws(() => evicting({ recent: 0 }, f16), /at least one stays/);
  throws(() => evicting({ recent: 1, decay: 2 }, f16), /decay is 2/);
  throws(
    () => evicting(one, rtn as never),
    /evicting: wants a codec, got the function rtn: call it/,
  );
  throws(() => stepped(evicting(one, f16), nothing(1), 5), /1 to 4 tokens, not 5/);
  const cache = await openBounded(movingWindow({ recent: 4 }, f16), [2, 64]);
  await rejects(cache.append({ k: [1], v: [1] }), /no tokens of \[2, n, 64\]/);
  const [k, v] = [new Float64Array(128), new Float64Array(256)];
  await rejects(cache.append({ k, v }), /is of 2 tokens, k of 1/);
  cache.dispose();
});

Deno.test("bits of a token that is held", () => {
  equal(heldBits(movingWindow({ recent: 60 }, rtnGrouped(4)), [2, 64]), 4.5 + 32 / 128);
  equal(heldBits(heavyHitters({ heavy: 32, recent: 32 }, identity), [2, 64]), 32 + 64 / 128);
  equal(heldBits(tova({ budget: 32 }, f16), [2, 64]), 16 + 64 / 128);
});
