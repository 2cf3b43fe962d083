/** Binds the laws of cold tiers to every codec that grows, and to damaged files. */
import { equal, match, ok, rejects } from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import fc from "fast-check";
import { evalDevice } from "../compiler/runtime/eval.ts";
import { center, openCache, openTier, rtnGrouped, TierError, tryRestore, window } from "../mod.ts";
import { isLeft } from "../fp.ts";
import { tensorOf } from "./arbitraries.ts";
import { check, hold } from "./check.ts";
import { CODECS } from "./codecs.ts";
import { onDevices } from "./devices.ts";
import { GROWING, splitsOf } from "./growing.ts";
import { damageBroken, type Event, tierBroken } from "./laws/tier.ts";

const storyArb = fc.record({
  name: fc.constantFrom(...GROWING),
  seed: fc.nat(),
  tokens: fc.integer({ min: 1, max: 40 }),
  cuts: fc.array(fc.nat(), { maxLength: 6 }),
  between: fc.array(fc.constantFrom<Event>("spill", "restore"), { minLength: 7, maxLength: 7 }),
  block: fc.integer({ min: 1, max: 12 }),
  capacity: fc.integer({ min: 0, max: 50 }),
});

onDevices(
  "a cache that was in a file is as if it never was",
  { wasm: 60, webgpu: 2 },
  (device, runs) =>
    hold(
      fc.asyncProperty(storyArb, async ({ name, seed, tokens, cuts, between, block, capacity }) => {
        const { codec, channels: [channels] } = CODECS[name];
        const x = tensorOf({ kind: "normal", seed, heads: 2, tokens, channels });
        const events = splitsOf(tokens, cuts).flatMap((n, i): Event[] => [n, between[i]]);
        equal(await tierBroken(device, codec, x, events, block, capacity), undefined);
      }),
      runs,
    ),
);

const damageArb = fc.record({
  name: fc.constantFrom(...GROWING),
  seed: fc.nat(),
  block: fc.integer({ min: 1, max: 12 }),
  // Cut off behind a byte, or one of its bits turned over; places as shares of the file.
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  bit: fc.option(fc.nat({ max: 7 })),
});

check(
  "eval: a file that was changed is refused by name, or changes nothing",
  fc.asyncProperty(damageArb, async ({ name, seed, block, at, bit }) => {
    const { codec, channels: [channels] } = CODECS[name];
    const x = tensorOf({ kind: "normal", seed, heads: 2, tokens: 32, channels });
    const broken = await damageBroken(evalDevice(), codec, x, block, (bytes) => {
      const place = Math.floor(at * bytes.length);
      if (bit === null) return bytes.subarray(0, place);
      bytes[place] ^= 1 << bit;
      return bytes;
    });
    equal(broken, undefined);
  }),
  60,
);

const fresh = (): string => `${tmpdir()}/${crypto.randomUUID()}.tier`;

Deno.test("tiers say what they are asked for in vain", async () => {
  const cache = await openCache(window({ tail: 4 }, rtnGrouped(4)), [2, 64], { device: "eval" });
  const path = fresh();
  await cache.append(new Float64Array(2 * 40 * 64).map((_, i) => Math.sin(i * i)));
  await rejects(openTier(cache, path, { block: 0 }), TierError);
  const tier = await openTier(cache, path, { block: 16 });
  await rejects(openTier(cache, path), /is there already/);
  const { tokens, away, raw, bytes } = await tier.spill();
  equal(tokens, 32);
  equal(away, 32);
  ok(bytes < raw + 2 * 60, `${bytes} of ${raw}`);
  // All tokens are attended to or none.
  try {
    cache.parts("x");
    ok(false);
  } catch (error) {
    match(`${error}`, /32 of 40 tokens are in a file/);
  }
  // Two blocks of a file exchanged are two blocks in a wrong place.
  const all = new Uint8Array(await readFile(path));
  const swapped = Uint8Array.from(all);
  const start = all.length - bytes;
  const packed = new DataView(all.buffer, all.byteOffset).getUint32(start + 4, true);
  const [first, second] = [
    all.subarray(start, start + 40 + packed),
    all.subarray(start + 40 + packed),
  ];
  swapped.set(second, start);
  swapped.set(first, start + second.length);
  await writeFile(path, swapped);
  const refused = await tryRestore(tier);
  ok(isLeft(refused) && refused.left.block === 0);
  match(refused.left.message, /block 1 stands in its place/);
  await writeFile(path, all);
  equal((await tier.restore()).away, 0);
  equal(cache.parts("x")["x.packed.codes"].shape[1], 36);
  await tier.close();
  cache.dispose();
});

Deno.test("a block is refused for a cache whose fixed parts are others", async () => {
  const [one, other] = await Promise.all(
    [1, 2].map((n) =>
      openCache(center(), [2, 16], { device: "eval" }).then(async (c) => {
        await c.append(new Float64Array(2 * 32 * 16).map((_, i) => Math.sin(n * i)));
        return c;
      })
    ),
  );
  const [a, b] = await Promise.all([one, other].map(async (cache) => {
    const path = fresh();
    const tier = await openTier(cache, path, { block: 8 });
    await tier.spill();
    return { tier, path };
  }));
  await writeFile(b.path, await readFile(a.path));
  const found = await tryRestore(b.tier);
  ok(isLeft(found));
  match(found.left.message, /fixed parts/);
  for (const { tier } of [a, b]) await tier.close();
  [one, other].forEach((cache) => cache.dispose());
});
