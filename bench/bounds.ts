/**
 * How far are certified bounds from actual errors? For each scheme the bound over the error, both the
 * largest of all elements, and both as a root of mean squares: a perfect bound has 1.
 *
 * - `codec`: what is stored against what was given, by `codecBound`; `norm` is the 2-norm along a head's
 *   channels; `search` is the worst tensor that climbing finds for a small shape: the element closest to
 *   its own bound, and error to bound in 2-norm.
 * - `attention`: the last queries of a window on the whole stored cache against the program without
 *   roundings, by `certify`. On the embedded model's own queries, keys and values, each layer apart.
 * - what every scheme claims of any tensor, before there is one (`claims.ts`).
 *
 * All on the embedded device, its own arithmetic included in the bounds; only the search is in f64.
 * @module
 */
import {
  attend,
  type Certified,
  certify,
  type Codec,
  codecBound,
  compile,
  decoquantB,
  F32,
  hadamard,
  idealOf,
  input,
  on,
  type Program,
  quantize,
  rtn,
  rtnGrouped,
  type Term,
} from "../mod.ts";
import { pipe } from "../fp.ts";
import { EXACT, MEASURED } from "../models/runner.ts";
import { normals } from "../props/arbitraries.ts";
import { climb, closest, codecGoal, inNorm } from "../props/climb.ts";
import { rounding } from "../props/laws/codec.ts";
import type { Named } from "./caches.ts";
import { claimRows } from "./claims.ts";
import { openEmbedded } from "./embedded.ts";
import type { Ask, Benchmark, Row } from "./harness.ts";

const BITS = [8, 4, 3, 2] as const;

/** A rotation of the channels, then groups of them. */
const rotated = (bits: 8 | 4 | 3 | 2): Codec =>
  pipe(hadamard(), on("values", quantize({ bits, per: 32, range: "asymmetric" })));

/** What is asked about. */
export const SCHEMES: readonly Named[] = [
  ...BITS.map((b) => ({ name: `rtn ${b}`, codec: rtn(b) })),
  ...BITS.map((b) => ({ name: `rtnGrouped ${b}`, codec: rtnGrouped(b) })),
  ...BITS.map((b) => ({ name: `decoquantB ${b}`, codec: decoquantB(b) })),
  ...BITS.map((b) => ({ name: `hadamard, g32 ${b}`, codec: rotated(b) })),
];

/** Sizes of the embedded model, for synthetic caches too. */
export const [KV, GROUP, D] = [2, 2, 64];
/** Queries, at the end of the window. */
export const ROWS = 8;
/** The shape that is searched. */
const SEARCHED = [1, 2, 64];

/** One cache with the queries of its last tokens. */
export interface Cache {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
}

/** A cache of normal numbers, one channel of each head larger. */
export const synthetic = (seed: number, tokens: number, outlier: number): Cache => {
  const next = normals(seed);
  const made = (rows: number): Float64Array =>
    Float64Array.from(
      { length: rows * D },
      (_, i) => Math.fround(next() * (i % D === 3 ? outlier : 1)),
    );
  return { q: made(KV * GROUP * ROWS), k: made(KV * tokens), v: made(KV * tokens) };
};

/** The last rows of `[kv, group, tokens, d]`. */
const lastRows = (q: Float64Array, tokens: number): Float64Array =>
  Float64Array.from({ length: KV * GROUP * ROWS * D }, (_, i) => {
    const head = Math.floor(i / (ROWS * D));
    return q[(head * tokens + tokens - ROWS) * D + i % (ROWS * D)];
  });

/** What the model keeps of its text, a layer each. */
export const caches = async (tokens: number): Promise<readonly Cache[]> => {
  const { runner, ids } = await openEmbedded();
  try {
    const { layers } = await runner.run(ids.slice(0, tokens), EXACT, { see: true });
    return layers.map(({ q, seen }) => ({
      q: lastRows(q!, tokens),
      k: seen!.k[0],
      v: seen!.v[0],
    }));
  } finally {
    runner.close();
  }
};

/** What is measured of a scheme. */
interface Programs {
  /** A reconstruction, its bounds by element and by norm. */
  readonly stored: Program;
  /** Attention over reconstructions, with its bound. */
  readonly attended: Certified;
  /** The same with the range that codes can hold. */
  readonly quick: Certified;
  /** The same without roundings. */
  readonly ideal: Program;
}

/** Keys or values of a cache. */
export const SHAPE = [KV, "tokens", D] as const;

/** The last queries of a window on caches that went through a codec. */
export const attention = (codec: Codec, tokens: number): Term => {
  const rebuilt = (name: string): Term =>
    codec.decode(codec.encode(input(name, SHAPE, "f32")), SHAPE);
  return attend({
    q: input("q", [KV, GROUP, ROWS, D], "f32"),
    k: rebuilt("k"),
    v: rebuilt("v"),
    causal: { offset: tokens - ROWS },
  });
};

const programsOf = async (codec: Codec, tokens: number): Promise<Programs> => {
  const x = input("x", SHAPE, "f32");
  const parts = codec.encode(x);
  const out = attention(codec, tokens);
  const of = { schedule: MEASURED };
  const stored = {
    actual: codec.decode(parts, SHAPE),
    bound: codecBound(codec, x, parts, { machine: F32 }),
    norm: codecBound(codec, x, parts, { machine: F32, norm: [2] }),
  };
  return {
    stored: await compile(stored, of),
    attended: await certify({ out }, of),
    quick: await certify({ out }, { ...of, sharp: false }),
    ideal: await compile({ ideal: idealOf(out) }, of),
  };
};

/** Largest values and sums of squares of errors and of their bounds. */
interface Tally {
  error: number;
  bound: number;
  errors: number;
  bounds: number;
}

const tally = (): Tally => ({ error: 0, bound: 0, errors: 0, bounds: 0 });

/** Adds what one run gave; a bound that does not hold is no result. */
const add = (to: Tally, errors: Float64Array, bounds: Float64Array): void =>
  bounds.forEach((bound, i) => {
    const error = errors[i];
    if (!(error <= bound)) throw new Error(`error ${error}, bound ${bound}`);
    to.error = Math.max(to.error, error);
    to.bound = Math.max(to.bound, bound);
    to.errors += error * error;
    to.bounds += bound * bound;
  });

const apart = (a: Float64Array, b: Float64Array): Float64Array =>
  a.map((v, i) => Math.abs(v - b[i]));

/** 2-norms of rows of D. */
const norms = (xs: Float64Array): Float64Array =>
  Float64Array.from(
    { length: xs.length / D },
    (_, i) => Math.hypot(...xs.subarray(i * D, (i + 1) * D)),
  );

const ratios = ({ error, bound, errors, bounds }: Tally): Row => ({
  max: bound / error,
  RMS: Math.sqrt(bounds / errors),
});

const prefixed = (prefix: string, row: Row): Row =>
  Object.fromEntries(Object.entries(row).map(([k, v]) => [`${prefix} ${k}`, v]));

/** Bound over error where climbing brings the two closest. */
const searched = (codec: Codec, evaluations: number): Row => {
  const start = synthetic(11, 1, 1).k;
  const best = (measure: typeof closest): number =>
    1 / climb(codecGoal(codec, SEARCHED, rounding(KV * D), measure), {
      start,
      seed: 5,
      evaluations,
    }).ratio;
  return { "search max": best(closest), "search RMS": best(inNorm) };
};

/** The question of the head of the file. */
export const boundsBench: Benchmark = async ({ quick }: Ask) => {
  const tokens = quick ? 64 : 256;
  const sets: Readonly<Record<string, readonly Cache[]>> = {
    normal: [synthetic(1, tokens, 1)],
    outlier: [synthetic(2, tokens, 30)],
    real: await caches(tokens),
  };
  const [codecs, attention, quickly]: [Row[], Row[], Row[]] = [[], [], []];
  for (const { name, codec } of SCHEMES) {
    const { stored, attended, quick: fast, ideal } = await programsOf(codec, tokens);
    const rows: [Row, Row, Row] = [{ scheme: name }, { scheme: name }, { scheme: name }];
    for (const [set, list] of Object.entries(sets)) {
      const [elements, rowNorms, outputs, quicker] = [tally(), tally(), tally(), tally()];
      for (const { q, k, v } of list) {
        for (const x of [k, v]) {
          const { actual, bound, norm } = await stored.values({ x }, { tokens });
          add(elements, apart(actual, x), bound);
          add(rowNorms, norms(apart(actual, x)), norm);
        }
        const { out } = await attended.values({ q, k, v }, { tokens });
        const exact = (await ideal.values({ q, k, v }, { tokens })).ideal;
        add(outputs, apart(out.value, exact), out.bound);
        const other = (await fast.values({ q, k, v }, { tokens })).out;
        add(quicker, apart(other.value, exact), other.bound);
      }
      rows[0] = {
        ...rows[0],
        ...prefixed(set, { ...ratios(elements), norm: ratios(rowNorms).RMS }),
      };
      rows[1] = { ...rows[1], ...prefixed(set, ratios(outputs)) };
      rows[2] = { ...rows[2], ...prefixed(set, ratios(quicker)) };
    }
    codecs.push({ ...rows[0], ...searched(codec, quick ? 10 : 1500) });
    attention.push(rows[1]);
    quickly.push(rows[2]);
  }
  const of =
    `normal numbers; channel 3 of each head 30 times larger; the model's K and V, 4 layers`;
  return [
    {
      title: `bound ÷ error of codecs, ${tokens} tokens: ${of}; the worst case found`,
      rows: codecs,
    },
    {
      title: `bound ÷ error of attention's output, the last ${ROWS} queries on ${tokens} tokens`,
      rows: attention,
    },
    { title: "the same with the range that codes can hold (sharp: false)", rows: quickly },
    {
      title: "claim ÷ error and certificate ÷ error of every scheme, 2-norms; the worst case found",
      rows: await claimRows({
        sets: Object.fromEntries(
          Object.entries(sets).map(([set, list]) => [set, list.flatMap(({ k, v }) => [k, v])]),
        ),
        shape: SHAPE,
        tokens,
        start: synthetic(11, 1, 1).k.slice(0, 2 * D),
        evaluations: quick ? 10 : 1500,
      }),
    },
  ];
};
