/**
 * Hot and cold: the newest tokens in f16, the rest in 4 bits, and while nobody asks, the rest in a file.
 * A conversation is left, its cache goes to disk; it is taken up again, and the next word is what it was.
 *
 * deno run -A examples/tiers.ts   or   bun examples/tiers.ts
 */
import { ok } from "node:assert/strict";
import { tmpdir } from "node:os";
import { attend, cached, compile, input, openCache, openTier, rtnGrouped, window } from "kvfold";

const [heads, channels, tokens] = [4, 64, 2000];
const codec = window({ tail: 64, sinks: 4 }, rtnGrouped(4));
const open = () => openCache(codec, [heads, channels], { capacity: tokens });
const caches = { k: await open(), v: await open() };

// Numbers that stand for keys and values: normal, by Box and Muller, from a linear congruential sequence.
let state = 1;
const uniform = (): number =>
  ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) + 0.5) / 2 ** 32;
const normal = (): number =>
  Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
for (const cache of Object.values(caches)) {
  await cache.append(Float64Array.from({ length: heads * tokens * channels }, normal));
}

const { shape } = caches.k;
const program = await compile({
  out: attend({
    q: input("q", [heads, 2, 1, channels], "f32"),
    k: cached(caches.k.codec, "k", shape),
    v: cached(caches.v.codec, "v", shape),
  }),
});
const q = Float64Array.from({ length: heads * 2 * channels }, normal);
const answer = async () =>
  (await program.values({ q, ...caches.k.parts("k"), ...caches.v.parts("v") })).out;

const before = await answer();
for (const [name, cache] of Object.entries(caches)) {
  const tier = await openTier(cache, `${tmpdir()}/${crypto.randomUUID()}.tier`);
  const all = cache.bytes();
  const { away, bits, raw } = await tier.spill();
  console.log(
    `${name}: ${away} of ${cache.tokens()} tokens to disk, memory ${all} -> ${cache.bytes()} bytes; ` +
      `${(8 * raw / (away * heads * channels)).toFixed(2)} bits a value are ${
        bits.toFixed(2)
      } there`,
  );
  await tier.restore();
  await tier.close();
}
const after = await answer();
ok(after.every((x, i) => Object.is(x, before[i])));
console.log("brought back: attention is the same, bit for bit");
Object.values(caches).forEach((cache) => cache.dispose());
