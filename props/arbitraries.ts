/**
 * Tensors that bite: what breaks a codec is an outlier, a zero, a scale or a shape, seldom noise.
 * A sample is a few words, so that a counterexample can be read; {@link tensorOf} makes the numbers.
 * @module
 */
import fc from "fast-check";
import { uniforms } from "../models/uniforms.ts";

/** What the numbers of a tensor are like. */
export const KINDS = [
  "zeros",
  "constant",
  "normal",
  "outlier channels",
  "one outlier",
  "biased",
  "low rank",
  "ill-conditioned",
  "denormal",
  "tiny",
  "huge",
  "mixed scales",
] as const;

/** A tensor `[heads, tokens, channels]` in words. */
export interface Sample {
  readonly kind: typeof KINDS[number];
  readonly seed: number;
  readonly heads: number;
  readonly tokens: number;
  readonly channels: number;
}

/** A tensor in numbers. */
export interface Tensor {
  readonly shape: readonly [number, number, number];
  readonly data: Float64Array;
}

/** Normal numbers from a seed (Box–Muller). */
export const normals = (seed: number): () => number => {
  const uniform = uniforms(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
};

type Make = (at: { h: number; t: number; d: number }, next: () => number) => number;

const MAKE: Readonly<Record<Sample["kind"], Make>> = {
  zeros: () => 0,
  constant: () => 1.7,
  normal: (_, next) => next(),
  "outlier channels": ({ d }, next) => next() * (d % 7 === 3 ? 80 : 1),
  "one outlier": ({ h, t, d }, next) => h + t + d === 0 ? 3000 : next(),
  biased: ({ d }, next) => 12 * Math.sin(d) + 0.1 * next(),
  // Two products of a function of the row and one of the channel: rank 2.
  "low rank": ({ h, t, d }) => Math.sin(3 * h + t) * Math.cos(d) + 2 * Math.cos(h - t) * d,
  "ill-conditioned": ({ d }, next) => next() * 10 ** (-d % 9),
  denormal: (_, next) => next() * 1e-40,
  tiny: (_, next) => next() * 1e-30,
  huge: (_, next) => next() * 1e30,
  "mixed scales": ({ t }, next) => next() * 10 ** (t % 2 === 0 ? -30 : 3),
};

/** The numbers of a sample, as f32 holds them. */
export const tensorOf = ({ kind, seed, heads, tokens, channels }: Sample): Tensor => {
  const next = normals(seed);
  const data = new Float64Array(heads * tokens * channels);
  data.forEach((_, i) => {
    const d = i % channels;
    const t = Math.floor(i / channels) % tokens;
    const h = Math.floor(i / channels / tokens);
    data[i] = Math.fround(MAKE[kind]({ h, t, d }, next));
  });
  return { shape: [heads, tokens, channels], data };
};

/** Samples; one token and ragged lengths are as likely as any. */
export const samples = (
  channels: readonly number[],
  heads = 3,
  longest = 11,
): fc.Arbitrary<Sample> =>
  fc.record({
    kind: fc.constantFrom(...KINDS),
    seed: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    heads: fc.integer({ min: 1, max: heads }),
    tokens: fc.oneof(fc.constant(1), fc.integer({ min: 2, max: longest })),
    channels: fc.constantFrom(...channels),
  });

/** Codes of a packed row. */
export const rows = (max: number): fc.Arbitrary<{ row: number; codes: number[] }> =>
  fc.tuple(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 0, max: 3 })).chain(([row, count]) =>
    fc.record({
      row: fc.constant(row),
      codes: fc.array(fc.integer({ min: 0, max }), {
        minLength: row * count,
        maxLength: row * count,
      }),
    })
  );
