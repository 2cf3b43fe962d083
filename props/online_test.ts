/** Binds the rule of caches that learn to random streams, on every device. */
import { equal, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import { evalDevice } from "../compiler/runtime/eval.ts";
import {
  center,
  f16,
  joinHeads,
  on,
  online,
  openCache,
  pca,
  perHead,
  quantize,
  rtnGrouped,
  ValueError,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { normals, tensorOf } from "./arbitraries.ts";
import { check, hold } from "./check.ts";
import { onDevices } from "./devices.ts";
import { splitsOf } from "./growing.ts";
import { splitBroken } from "./laws/growing.ts";
import { axesOnline, learned, ruleBroken, ruled } from "./laws/online.ts";

const caseArb = fc.record({
  group: fc.constantFrom(2, 4),
  times: fc.integer({ min: 1, max: 3 }),
  share: fc.option(fc.constantFrom(0, 0.05, 0.2, 0.5), { nil: undefined }),
  rank: fc.integer({ min: 1, max: 4 }),
  tail: fc.integer({ min: 0, max: 5 }),
  sinks: fc.integer({ min: 0, max: 3 }),
});

const asked = (
  { times, share, ...rest }: typeof caseArb extends fc.Arbitrary<infer A> ? A : never,
) => ({
  ...rest,
  every: times * rest.group,
  ...share === undefined ? {} : { share },
});

/** Whole numbers on a few axes that change on the way. */
const drifting = (seed: number, heads: number, tokens: number, channels: number) => {
  const next = normals(seed);
  const axes = Array.from(
    { length: 3 },
    () => Array.from({ length: channels }, () => Math.round(next())),
  );
  const data = new Float64Array(heads * tokens * channels);
  for (let row = 0; row < heads * tokens; row++) {
    const axis = axes[Math.floor(3 * (row % tokens) / tokens)];
    const [size, noise] = [Math.round(4 * next()), Math.round(next())];
    axis.forEach((a, d) =>
      data[row * channels + d] = size * a + (d === row % channels ? noise : 0)
    );
  }
  return { shape: [heads, tokens, channels] as const, data };
};

check(
  "eval: a cache that learns holds what its rule says, in plain loops",
  fc.asyncProperty(
    caseArb,
    fc.nat(),
    fc.integer({ min: 1, max: 48 }),
    fc.array(fc.nat(), { maxLength: 6 }),
    async (given, seed, tokens, cuts) => {
      const x = drifting(seed, 2, tokens, 4);
      equal(await ruleBroken(evalDevice(), x, asked(given), splitsOf(tokens, cuts)), undefined);
    },
  ),
  60,
);

const codes = quantize({ bits: 4, per: "token", range: "asymmetric" });
const LEARNING = {
  axes: perHead(pipe(pca({ rank: 4 }), on("coefficients", codes), on("basis", f16))),
  joined: joinHeads(pipe(pca({ rank: 8 }), on("coefficients", codes), on("basis", f16))),
  mean: pipe(center(), on("values", rtnGrouped(2, 16))),
} as const;

onDevices(
  "a cache that learns is the same however its tokens were split",
  { wasm: 30, webgpu: 2 },
  (
    device,
    runs,
  ) =>
    hold(
      fc.asyncProperty(
        fc.constantFrom<keyof typeof LEARNING>("axes", "joined", "mean"),
        caseArb,
        fc.nat(),
        fc.integer({ min: 1, max: 40 }),
        fc.tuple(fc.array(fc.nat(), { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 6 })),
        async (name, given, seed, tokens, cuts) => {
          const { rank: _, ...how } = asked(given);
          const codec = online(how, LEARNING[name]);
          const x = tensorOf({ kind: "normal", seed, heads: 2, tokens, channels: 16 });
          const [a, b] = cuts.map((c) => splitsOf(tokens, c));
          equal(await splitBroken(device, codec, x, [a, b], 4), undefined);
        },
      ),
      runs,
    ),
);

Deno.test("parts are made anew only where tokens drift, if the rule says so", async () => {
  const how = { group: 4, every: 8, tail: 0, sinks: 0, rank: 2 };
  const [steady, moving] = [0, 1].map((moves) => {
    const data = Float64Array.from({ length: 64 * 4 }, (_, i) => {
      const [t, d] = [Math.floor(i / 4), i % 4];
      return d === (moves * t >= 32 ? 2 : 0) ? (t % 7) - 3 : 0;
    });
    return { shape: [1, 64, 4] as const, data };
  });
  equal(ruled(steady, { ...how, share: 0.1 }).made, 1);
  equal(ruled(moving, { ...how, share: 0.1 }).made, 2);
  ok(ruled(steady, how).made > 5);
  for (const x of [steady, moving]) {
    equal(await ruleBroken(evalDevice(), x, { ...how, share: 0.1 }, [64]), undefined);
  }
  const cache = await learned(evalDevice(), moving, how, [64]);
  // What is learnt anew turns what is stored: no block of it is ever cold.
  equal(cache.sealed.tokens(), 0);
  cache.dispose();
});

Deno.test("online() says what it cannot learn from, and when", async () => {
  throws(() => online({ every: 8 }, rtnGrouped(4)), /does not say what it learns from/);
  // The axes of what a mean leaves are no sums over tokens as they come.
  const both = online({ group: 2, every: 8 }, pipe(center(), on("values", LEARNING.axes)));
  await rejects(openCache(both, [2, 16]), /learns mean, not values.basis.values/);
  throws(() => online({ group: 4, every: 6 }, LEARNING.axes), ValueError);
  throws(() => online({ every: 4, share: -1 }, LEARNING.axes), ValueError);
  ok(
    axesOnline({ group: 4, every: 8, tail: 0, sinks: 0, rank: 2 }).name.startsWith(
      "online(every 8",
    ),
  );
});
