/** Binds claims: what a codec loses of any tensor, known before there is one. */
import { deepEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { type Claim, codecClaim } from "../dsl/codec/claim.ts";
import { BITS } from "../dsl/core/dtype.ts";
import { OPS } from "../dsl/core/ops.ts";
import { input } from "../dsl/core/build.ts";
import { rotate } from "../dsl/decompose/rotate.ts";
import { evalAll } from "../dsl/read/eval.ts";
import { grain } from "../dsl/schemes/grain.ts";
import { turboquant } from "../dsl/schemes/turboquant.ts";
import { worstOf } from "../dsl/bound/cells.ts";
import { normals, samples, tensorOf } from "./arbitraries.ts";
import { check, seedNow } from "./check.ts";
import { climb } from "./climb.ts";
import { type Case, CODECS, SCHEME_CASES } from "./codecs.ts";
import { claimShare } from "./laws/codec.ts";

/** Coordinates that are left out, as fitted bases have them. */
const turned = Array.from(
  { length: 16 },
  (_, i) => Array.from({ length: 16 }, (_, j) => OPS.hadamard.apply(i, j) / 4),
);
const cut = grain(
  { name: "cut", to: [turned.map((r) => r.slice(0, 12))], back: [turned.slice(0, 12)] },
  [4, 4, 4, 0],
);
const CASES: Readonly<Record<string, Case>> = {
  ...CODECS,
  "grain(cut)": { codec: cut, channels: [16], streams: true, lossless: false },
};

const claims = new Map<string, Claim | undefined>();
const claimOf = (name: string, heads: number): Claim | undefined => {
  const key = `${name} ${heads}`;
  const { codec, channels: [channels] } = CASES[name];
  if (!claims.has(key)) claims.set(key, codecClaim(codec, { heads, channels }));
  return claims.get(key);
};

/** Codecs whose tokens the reading follows. */
const FOLLOWED = Object.keys(CASES).filter((name) =>
  CASES[name].streams && claimOf(name, 1) !== undefined
);

check(
  "claim: no codec loses more of any tensor than it claims before it has one",
  fc.property(fc.constantFrom(...FOLLOWED), samples([16], 2, 9), (name, sample) => {
    const { codec, channels: [channels] } = CASES[name];
    const tensor = tensorOf({ ...sample, channels });
    const claim = claimOf(name, tensor.shape[0]);
    if (claim === undefined) return;
    const share = claimShare(codec, claim, tensor);
    ok(share <= 1, `${name}, ${sample.kind}: ${share} of ${JSON.stringify(claim)}`);
  }),
  400,
);

check(
  "claim: nor of a tensor that was made to be lost",
  fc.property(fc.constantFrom(...FOLLOWED), fc.nat(), (name, seed) => {
    const { codec, channels: [channels] } = CASES[name];
    const { data, shape } = tensorOf({ kind: "normal", seed, heads: 1, tokens: 2, channels });
    const claim = claimOf(name, 1)!;
    const goal = (x: Float64Array) => claimShare(codec, claim, { shape, data: x });
    const { ratio } = climb(goal, { start: data, seed, evaluations: 60 });
    ok(ratio <= 1, `${name}: ${ratio} of the claim`);
  }),
  40,
);

Deno.test("claim: of tokens that a rotation leaves in one channel it is attained", () => {
  for (const bits of BITS.filter((b) => b <= 4)) {
    const shape = [1, 1, 64] as const;
    const codec = turboquant(bits);
    const back = rotate().decode({ values: input("y", shape, "f32") }, shape);
    const y = Float64Array.from({ length: 64 }, (_, i) => i === 5 ? 100 : 0);
    const [{ data }] = evalAll([back], { sizes: {}, inputs: { y } });
    const share = claimShare(codec, codecClaim(codec, { heads: 1, channels: 64 })!, {
      shape,
      data,
    });
    ok(share > 0.9 && share <= 1, `${bits} bits: ${share}`);
  }
});

Deno.test("claim: schemes of rotated, normalised, centred, paired and polar tokens have one", () => {
  const families = new Set(
    FOLLOWED.filter((name) => name in SCHEME_CASES)
      .map((name) => name.replace(/\(.*/, "")),
  );
  deepEqual([...families], ["turboquant", "lathe", "higgs", "qjl", "polarquant"]);
  ok(FOLLOWED.includes("grain(cut)"));
});

/** Levels and points against vectors: the dual is above whatever is tried. */
check(
  "claim: no vector is further from its nearest points than cells of that length may be",
  fc.property(
    fc.array(
      fc.tuple(
        fc.double({ min: -3, max: 3, noNaN: true }),
        fc.double({ min: -3, max: 3, noNaN: true }),
      ),
      {
        minLength: 1,
        maxLength: 9,
      },
    ),
    fc.double({ min: 0.01, max: 9, noNaN: true }),
    fc.nat(),
    (points, length, seed) => {
      const next = normals(seed);
      const count = 1 + seed % 5;
      const vector = Array.from({ length: 2 * count }, () => next() ** 3);
      const size = Math.hypot(...vector);
      const far = Math.hypot(...Array.from({ length: count }, (_, i) => {
        const [x, y] = vector.slice(2 * i, 2 * i + 2).map((v) => v / size * length);
        return Math.min(...points.map(([a, b]) => Math.hypot(x - a, y - b)));
      }));
      ok(far <= worstOf([{ count, points }], length), `${far}, seed ${seedNow()}`);
    },
  ),
  60,
);
