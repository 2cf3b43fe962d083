/** Binds the laws of codecs that choose tokens. */
import { equal, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import {
  attend,
  bitsOf,
  byToken,
  type Codec,
  f16,
  h2o,
  hadamard,
  identity,
  input,
  joinHeads,
  keep,
  kept,
  on,
  openCache,
  outliers,
  quantize,
  residual,
  rtnGrouped,
  snapkv,
  streamingllm,
  window,
} from "../mod.ts";
import { normals } from "./arbitraries.ts";
import { check } from "./check.ts";
import * as L from "./laws/by_token.ts";

const CHANNELS = 4;
const coded = (bits: 2 | 4): Codec => quantize({ bits, per: "token", range: "asymmetric" });

/** Tokens that count whole numbers, so that some are equal. */
const toldArb: fc.Arbitrary<L.Told> = fc.record({
  heads: fc.integer({ min: 1, max: 3 }),
  tokens: fc.integer({ min: 1, max: 12 }),
  seed: fc.nat(),
}).map(({ heads, tokens, seed }) => {
  const next = normals(seed);
  const many = (n: number, f: (x: number) => number) =>
    Float64Array.from({ length: n }, () => f(next()));
  return {
    heads,
    tokens,
    channels: CHANNELS,
    x: many(heads * tokens * CHANNELS, Math.fround),
    salience: many(heads * tokens, (x) => Math.round(2 * x)),
  };
});

const choiceArb = fc.record({
  sinks: fc.integer({ min: 0, max: 2 }),
  recent: fc.integer({ min: 0, max: 3 }),
});

const cutsArb = fc.constantFrom<Parameters<typeof byToken>[1]>(
  [{ share: 0.25 }],
  [{ share: 0.1, and: 3 }],
  [{ start: 4 }],
  [{ share: 0.3 }, { share: 0.6 }],
  [{ start: 1 }, { start: 5 }],
);

check(
  "byToken: kept tokens are what their codec makes of them, others are 0",
  fc.property(
    toldArb,
    choiceArb,
    cutsArb,
    fc.boolean(),
    fc.boolean(),
    (t, choice, cuts, drops, dynamic) => {
      const codecs = [f16, coded(4), coded(2)].slice(0, cuts.length + (drops ? 0 : 1));
      return L.keptLaw(t, choice, cuts, codecs, dynamic);
    },
  ),
  100,
);

check(
  "byToken: one codec of all runs is that codec, and keeping all is",
  fc.property(
    toldArb,
    choiceArb,
    cutsArb,
    (t, choice, cuts) =>
      L.equalLaw(t, choice, cuts, coded(4)) && L.equalLaw(t, choice, [], coded(2)),
  ),
  60,
);

check(
  "byToken: attention to what is kept is attention to those tokens",
  fc.property(
    toldArb,
    choiceArb,
    cutsArb,
    fc.integer({ min: -2, max: 12 }),
    fc.boolean(),
    (t, choice, cuts, past, apart) => {
      const q = Float64Array.from({ length: t.heads * 2 * CHANNELS }, normals(past + 9));
      return L.keptAttentionLaw(t, choice, cuts.slice(0, 1), coded(4), q, past, apart);
    },
  ),
  60,
);

check(
  "attentionMass is the attention that tokens received, pooled the mean of neighbours",
  fc.property(
    toldArb,
    fc.integer({ min: 1, max: 2 }),
    fc.integer({ min: 1, max: 14 }),
    fc.constantFrom(1, 3, 5),
    (t, group, last, width) => {
      const q = Float64Array.from({ length: t.heads * group * t.tokens * CHANNELS }, normals(last));
      return L.massLaw(t, q, group, last, width);
    },
  ),
  40,
);

Deno.test("schemes that choose: bits of what is kept, index and all", () => {
  const shape = [2, "tokens", 64] as const;
  const near = (a: number, b: number) => ok(Math.abs(a - b) < 1e-12, `${a} is not ${b}`);
  const four = rtnGrouped(4);
  for (const scheme of [snapkv({ keep: 0.25 }, four), h2o({ keep: 0.25 }, four)]) {
    near(bitsOf(scheme.k, shape), 0.25 * 5);
    near(bitsOf(scheme.v, shape, { tokens: 512 }), (0.25 * 448 + 64) * 5 / 512);
  }
  equal(bitsOf(snapkv({ keep: 1 }, four).k, shape), 4.5);
  equal(bitsOf(streamingllm({ recent: 124 }, f16).k, shape), 0);
  near(bitsOf(streamingllm({ recent: 124 }, f16).k, shape, { tokens: 512 }), 16.5 / 4);
  // All that came after the prompt is kept.
  near(
    bitsOf(snapkv({ keep: 0.25 }, four).after(100).k, shape, { tokens: 612 }),
    (0.25 * 448 + 164) * 5 / 612,
  );
});

Deno.test("a growing cache refuses a codec that chooses among all tokens", async () => {
  await rejects(
    async () => await openCache(keep({}, { start: 2 })(f16), [1, 4]),
    /growing cache: byToken.* chooses among all tokens/,
  );
});

Deno.test("byToken: what does not fit together is named", () => {
  const few = keep({}, { share: 0.5 })(identity);
  const more = keep({}, { share: 0.6 })(identity);
  const shape = [1, "tokens", 4] as const;
  const q = input("q", [1, 1, 1, 4], "f32");
  throws(
    () =>
      attend({
        q,
        k: kept(few, "k", shape),
        v: kept(byToken({ sinks: 1 }, [{ share: 0.5 }], [f16]), "v", shape),
      }),
    /attend: keys and values are of tokens that were chosen differently/,
  );
  throws(() => attend({ q, k: kept(few, "k", shape), v: kept(more, "v", shape) }), /attend/);
  for (
    const inside of [
      () => on("values", few)(hadamard()),
      () => window({ tail: 2 }, few),
      () => joinHeads(few),
      () => residual(few),
      () => outliers({ count: 1 })(few),
    ]
  ) throws(inside, /drops tokens: it is the outermost codec/);
  throws(() => byToken({}, [{ share: 0.5 }], [few]), /drops tokens itself/);
  throws(() => byToken({}, [{ start: 4 }, { start: 3 }], [f16]), /3 does not come after 4/);
  throws(() => byToken({}, [{ share: 0.5 }], []), /0 codecs for 2 runs/);
  throws(() => byToken({ sinks: -1 }, [{ share: 0.5 }], [f16]), /counts/);
  throws(() => snapkv({ keep: 0 }, f16), /snapkv: the share that is kept is 0/);
});
