/**
 * How fast is a cache encoded, against copying the same bytes in the same run?
 *
 * Keys `[8, tokens, 64]` in f32. A scheme's parts decode to the error that the f64 meaning of encode and
 * decode has (within 1 %: a tie may round either way) before it is timed; a scheme that does not has no time.
 * @module
 */
import { evaluate, input } from "../mod.ts";
import { encoder, type Named, put, release, restore, type Sizes, store, STORED } from "./caches.ts";
import { activations } from "./data.ts";
import { type Ask, type Benchmark, compare, digits, type Row } from "./harness.ts";
import { openRoofs } from "./roofs.ts";

const SIZES: Sizes = { kv: 8, group: 1, dim: 64 };
const NAMES = ["rtnGrouped 4", "rtn 4", "decoquantB 4", "f16"];

const norm = (xs: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < xs.length; i++) sum += xs[i] * xs[i];
  return Math.sqrt(sum);
};

const errorOf = (got: ArrayLike<number>, want: Float32Array): number =>
  norm(want.map((x, i) => got[i] - x)) / norm(want);

/** What the device's encode loses, or why it has no number: it loses something else than its meaning. */
const checked = async (way: Named): Promise<number | string> => {
  const tokens = 72;
  const shape = [SIZES.kv, tokens, SIZES.dim];
  const data = activations(4, SIZES.kv * tokens * SIZES.dim, SIZES.dim);
  const x = put("x", shape, data);
  const parts = await store(way, SIZES, "x", x);
  const decoded = await restore(way, SIZES, "x", parts);
  const ours = errorOf(await decoded.read(), data);
  release({ ...parts, x, decoded });
  const term = input("x", [SIZES.kv, tokens, SIZES.dim], "f32");
  const again = way.codec.decode(way.codec.encode(term), term.shape);
  const theirs = errorOf(evaluate(again, { sizes: {}, inputs: { x: data } }).data, data);
  if (Math.abs(ours - theirs) <= 0.01 * theirs) return theirs;
  return `wrong: relative error ${digits(ours)}, meant is ${digits(theirs)}`;
};

/** The question of the head of the file. */
export const encodeBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 2048 : 16384;
  const effort = quick ? { rounds: 3, warmMs: 20 } : { rounds: 15, warmMs: 300 };
  const count = SIZES.kv * tokens * SIZES.dim;
  const bytes = 4 * count;
  const x = put("x", [SIZES.kv, tokens, SIZES.dim], activations(5, count, SIZES.dim));
  const copy = (await openRoofs(bytes)).copy(bytes);
  const ways = NAMES.map((n) => STORED.find((w) => w.name === n)!);
  const errors: number[] = [];
  const wrong: Row[] = [];
  const cases = [copy];
  for (const way of ways) {
    const error = await checked(way);
    if (typeof error === "string") {
      wrong.push({ scheme: way.name, ms: error });
      continue;
    }
    errors.push(error);
    const program = await encoder(way, SIZES);
    cases.push({ name: way.name, run: async () => release(await program.run({ x })) });
  }
  const timings = await compare(cases, effort);
  x.dispose();
  return [{
    title: `encode [${SIZES.kv}, ${tokens}, ${SIZES.dim}] of f32, ${bytes / 1e6} MB`,
    rows: [
      ...timings.map(({ name, ms, iqr, best, speedup }, i): Row => ({
        scheme: name,
        ms,
        iqr,
        best,
        "GB/s of input": bytes / best / 1e6,
        "% of copy": 100 * speedup,
        "% of copy, best": 100 * timings[0].best / best,
        "relative error": i === 0 ? 0 : errors[i - 1],
      })),
      ...wrong,
    ],
  }];
};
