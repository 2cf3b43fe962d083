/**
 * How fast is a cache encoded, against copying the same bytes in the same run?
 *
 * `% of copy` is the time of copying the input over the time of encoding it. `% of bytes` counts what has to
 * move: the input once and the stored parts once, a second, over the bytes that the copy reads and writes a
 * second. What a scheme reads again (DecoQuant: largest magnitude, Gram matrix, codes) counts once in both.
 *
 * Keys `[8, tokens, 64]` in f32. A scheme's parts decode to the error that the f64 meaning of encode and
 * decode has (within 1 %: a tie may round either way) before it is timed; a scheme that does not has no time.
 *
 * The last row is no encoder: LAPACK's singular values of the same numbers, which DecoQuant begins with.
 * @module
 */
import {
  decoquantB,
  evaluate,
  f16,
  hadamard,
  input,
  lathe,
  nf4Grouped,
  q4_0,
  quarot,
  rtn,
  rtnGrouped,
  turboquant,
} from "../mod.ts";
import { encoder, type Named, put, release, restore, type Sizes, store } from "./caches.ts";
import { activations } from "./data.ts";
import { type Ask, type Benchmark, compare, digits, type Row } from "./harness.ts";
import { lapackRow } from "./lapack.ts";
import { openRoofs } from "./roofs.ts";

/** Channels of DecoQuant's small tensor: what LAPACK decomposes is a matrix of so many columns. */
const INNER = 16;

const SIZES: Sizes = { kv: 8, group: 1, dim: 64 };

const WAYS: readonly Named[] = [
  { name: "rtnGrouped 4", codec: rtnGrouped(4) },
  { name: "rtnGrouped 4, g32", codec: rtnGrouped(4, 32) },
  { name: "rtn 4", codec: rtn(4) },
  { name: "q4_0", codec: q4_0 },
  { name: "f16", codec: f16 },
  { name: "hadamard, f32", codec: hadamard() },
  { name: "quarot 4", codec: quarot(4) },
  { name: "nf4, g64", codec: nf4Grouped(64) },
  { name: "turboquant 4", codec: turboquant(4) },
  { name: "lathe 4", codec: lathe(4) },
  { name: "decoquantB 4", codec: decoquantB(4, INNER) },
];

/** What f32 arithmetic adds to the error of a scheme that loses nothing: 64 roundings. */
const ARITHMETIC = 64 * 2 ** -24;

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
  if (Math.abs(ours - theirs) <= 0.01 * theirs + ARITHMETIC) return theirs;
  return `wrong: relative error ${digits(ours)}, meant is ${digits(theirs)}`;
};

/** The question of the head of the file. */
export const encodeBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 2048 : 16384;
  const effort = quick ? { rounds: 3, warmMs: 20 } : { rounds: 15, warmMs: 300 };
  const count = SIZES.kv * tokens * SIZES.dim;
  const bytes = 4 * count;
  const data = activations(5, count, SIZES.dim);
  const x = put("x", [SIZES.kv, tokens, SIZES.dim], data);
  const copy = (await openRoofs(bytes)).copy(bytes);
  const errors: number[] = [];
  const moved: number[] = [2 * bytes];
  const wrong: Row[] = [];
  const cases = [copy];
  for (const way of WAYS) {
    const error = await checked(way);
    if (typeof error === "string") {
      wrong.push({ scheme: way.name, ms: error });
      continue;
    }
    errors.push(error);
    const program = await encoder(way, SIZES);
    const parts = await program.run({ x });
    moved.push(bytes + Object.values(parts).reduce((n, t) => n + t.bytes, 0));
    release(parts);
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
        "% of bytes, best": 100 * (moved[i] / best) / (moved[0] / timings[0].best),
        "relative error": i === 0 ? 0 : errors[i - 1],
      })),
      ...wrong,
      lapackRow(data, INNER, effort.rounds),
    ],
  }];
};
