/** Binds the laws of choices to tensors of every kind, on every device. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  adaptive,
  attend,
  cached,
  choose,
  type Codec,
  compile,
  decomposed,
  f16,
  hadamard,
  input,
  joinHeads,
  mpo,
  on,
  openCache,
  pca,
  perHead,
  quantize,
  ValueError,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { samples, tensorOf } from "./arbitraries.ts";
import { hold } from "./check.ts";
import { onDevices } from "./devices.ts";
import { choiceBroken } from "./laws/adaptive.ts";

const codes = (bits: 2 | 4): Codec => quantize({ bits, per: "token", range: "asymmetric" });
const CANDIDATES: readonly Codec[] = [
  codes(2),
  codes(4),
  pipe(hadamard(), on("values", codes(4))),
  joinHeads(pipe(mpo({ inner: 4 }), on("large", codes(4)), on("small", f16))),
  perHead(pipe(pca({ rank: 3 }), on("coefficients", codes(4)), on("basis", f16))),
  f16,
];

const ruleArb = fc.oneof(
  fc.record({ bits: fc.double({ min: 2, max: 20, noNaN: true }) }),
  fc.record({ error: fc.double({ min: 0, max: 1, noNaN: true }) }),
);
/** Squares of what is stored in f16 and in f32 stay in range. */
const tame = new Set([
  "zeros",
  "constant",
  "normal",
  "outlier channels",
  "one outlier",
  "biased",
  "low rank",
]);

onDevices(
  "a choice is the least of what keeps to its rule",
  { wasm: 20, webgpu: 1 },
  (device, runs) =>
    hold(
      fc.asyncProperty(
        samples([16]).filter(({ kind }) => tame.has(kind)),
        fc.uniqueArray(fc.nat({ max: CANDIDATES.length - 1 }), { minLength: 1, maxLength: 4 }),
        ruleArb,
        async (sample, which, rule) => {
          const scheme = adaptive(which.map((i) => CANDIDATES[i]), rule);
          equal(await choiceBroken(device, scheme, tensorOf(sample)), undefined);
        },
      ),
      runs,
    ),
);

Deno.test("decomposed() takes what the data asks for", async () => {
  const [heads, tokens, channels] = [2, 96, 64];
  const shape = [heads, "tokens", channels] as const;
  const chosen = async (kind: "normal" | "low rank", rule: { readonly bits: number }) => {
    const { data } = tensorOf({ kind, seed: 3, heads, tokens, channels });
    return await choose(compile, decomposed(4, channels, rule), shape, data);
  };
  const [noise, flat] = [
    await chosen("normal", { bits: 5 }),
    await chosen("low rank", { bits: 10 }),
  ];
  // Nothing to decompose in noise; of rank 2 half the rank is all.
  equal(noise.choice, 0);
  equal(flat.choice, 2);
  // Attention to what was chosen is what it is to the candidate.
  for (const { codec } of [noise, flat]) {
    const [k, v] = ["k", "v"].map((name) => cached(codec, name, shape));
    const { structure } = await compile({
      out: attend({ q: input("q", [2, 1, 1, 64], "f32"), k, v }),
    });
    equal(structure.kernels[0].skeleton, "stream");
    ok(structure.kernels.length <= 3, structure.kernels.map((k) => k.skeleton).join());
  }
});

Deno.test("a chosen codec grows by its own rule, with the choice among its parts", async () => {
  const scheme = adaptive([codes(4), joinHeads(pipe(mpo({ inner: 4 }), on("small", f16)))], {
    bits: 64,
  });
  const { data } = tensorOf({ kind: "low rank", seed: 1, heads: 2, tokens: 40, channels: 16 });
  const { codec, choice } = await choose(compile, scheme, [2, "tokens", 16], data);
  const cache = await openCache(codec, [2, 16]);
  await cache.append(data);
  await cache.append(data);
  const parts = cache.parts("x");
  const stored = Object.entries(parts).find(([part]) => part.endsWith("choice"))!;
  deepEqual([...await stored[1].read()], [choice]);
  const read = scheme.at((await stored[1].read())[0]);
  const { x } = await (await compile({ x: cached(read, "x", [2, "tokens", 16]) })).values(parts);
  equal(x.length, 2 * 80 * 16);
  cache.dispose();
});

Deno.test("adaptive() says what cannot be chosen", async () => {
  throws(() => adaptive([], { bits: 4 }), ValueError);
  throws(() => adaptive([f16], { bits: NaN }), ValueError);
  throws(() => adaptive([f16], { bits: 4 }).at(1), /choice 1 is none of 1 candidates/);
  const none = choose(
    compile,
    adaptive([codes(4)], { bits: 3 }),
    [1, "tokens", 16],
    new Float64Array(32),
  );
  await rejects(none, ValueError);
  await none.catch(({ message }) => match(message, /3 bits is less than any candidate needs/));
});
