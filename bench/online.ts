/**
 * Does a basis have to be made anew? The embedded model's keys and values, token after token into caches of 32
 * principal axes a head, by several rules.
 *
 * - `once`: by the first 64 tokens; `of all`: by all tokens, before any is
 *   stored, which no stream can.
 * - `K`, `V`: ‖x − x̂‖ / ‖x‖ of the caches in the end, all layers.
 * @module
 */
import {
  cached,
  type Codec,
  compile,
  f16,
  input,
  on,
  online,
  openCache,
  pca,
  perHead,
  quantize,
  type Refresh,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { DEVIATION, deviation, relative } from "../models/quality.ts";
import { openEmbedded } from "./embedded.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

const [GROUP, RANK] = [64, 32];

const RULES: readonly (readonly [string, Refresh | undefined])[] = [
  ["once", { every: 2 ** 20 }],
  ["every 512", { every: 512 }],
  ["every 256", { every: 256 }],
  ["every 128", { every: 128 }],
  ["every 128 that lost over 0.2", { every: 128, share: 0.2 }],
  ["of all", undefined],
];

const axes = (codes: Codec): Codec =>
  perHead(pipe(pca({ rank: RANK }), on("coefficients", codes), on("basis", f16)));

/** The question of the head of the file. */
export const onlineBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 128 : 1024;
  const { runner, ids: all } = await openEmbedded();
  const ids = all.slice(1, 1 + tokens);
  const { kvHeads, headDim } = runner.config;
  const shape = [kvHeads, "tokens", headDim] as const;
  try {
    const { layers } = await runner.run(ids, undefined, { see: true });
    const rows: Row[] = [];
    const codes = {
      "f16": f16,
      "4 bits": quantize({ bits: 4, per: "token", range: "asymmetric" }),
    };
    for (const [stored, codec] of Object.entries(codes)) {
      for (const [rule, refresh] of RULES) {
        const lost = { k: DEVIATION.empty, v: DEVIATION.empty };
        for (const { seen } of layers) {
          for (const side of ["k", "v"] as const) {
            const [x] = seen![side];
            let back: Float64Array;
            if (refresh === undefined) {
              const given = input("x", shape, "f32");
              const whole = axes(codec);
              const program = await compile({ x: whole.decode(whole.encode(given), shape) });
              back = (await program.values({ x })).x;
            } else {
              const how = online({ group: GROUP, ...refresh }, axes(codec));
              const cache = await openCache(how, [kvHeads, headDim], { capacity: tokens });
              await cache.append(x);
              const program = await compile({ x: cached(cache.codec, "x", cache.shape) });
              back = (await program.values(cache.parts("x"))).x;
              cache.dispose();
            }
            lost[side] = DEVIATION.concat(lost[side], deviation(x, back));
          }
        }
        rows.push({
          coefficients: stored,
          basis: rule,
          K: relative(lost.k).toFixed(4),
          V: relative(lost.v).toFixed(4),
        });
      }
    }
    return [{ title: `${RANK} axes of ${headDim} a head, wiki4m, ${tokens} tokens`, rows }];
  } finally {
    runner.close();
  }
};
