/**
 * Attention on caches of every codec: the terms that rules and streaming kernels exist for.
 * @module
 */
import { attend } from "../dsl/attention/attend.ts";
import { cached, type Codec } from "../dsl/codec/codec.ts";
import { input } from "../dsl/core/build.ts";
import { BITS, DTYPES, roundF16 } from "../dsl/core/dtype.ts";
import { countOf, type Sizes } from "../dsl/core/shape.ts";
import { type Dim, type Term, topological } from "../dsl/core/term.ts";
import { quantize } from "../dsl/quantize/affine.ts";
import { FORMATS, type SchemeName, SCHEMES, WIDTHS } from "../dsl/schemes/mod.ts";
import { normals } from "./arbitraries.ts";
import { LOSSLESS, LOSSLESS_16, lossy, lossy16, QR, rangesOf } from "./codecs.ts";

/** A codec with what a tensor must have for it. */
export interface Case {
  readonly codec: Codec;
  readonly channels: number;
  /** May the number of tokens be unknown? */
  readonly streams: boolean;
}

/** A factor whose shape depends on which side is longer needs to know the tokens. */
const needsTokens = ({ name }: Codec): boolean =>
  name === "qr" || name === "svd" || name.startsWith("joinHeads(svd");

const all: readonly Case[] = [
  ...[...LOSSLESS, ...LOSSLESS_16].map((codec) => ({
    codec,
    channels: 16,
    streams: !needsTokens(codec),
  })),
  ...QR.map((codec) => ({ codec, channels: 16, streams: false })),
  ...BITS.flatMap((bits) => [
    ...[...lossy(bits), ...lossy16(bits)].map((codec) => ({ codec, channels: 16, streams: true })),
    // Rows of whole vectors in every plane.
    ...rangesOf(bits).map((range) => ({
      codec: quantize({ bits, per: 64, range }),
      channels: 128,
      streams: true,
    })),
  ]),
  ...Object.entries(SCHEMES).flatMap(([name, make]) =>
    WIDTHS[name as SchemeName].map((bits) => ({
      codec: make(bits),
      channels: name === "rtnGrouped" ? 64 : 16,
      streams: true,
    }))
  ),
  // Groups of tokens: those of one divide any number of them.
  ...BITS.map((bits) => ({
    codec: quantize({ bits, per: { tokens: 1 }, range: "asymmetric" }),
    channels: 16,
    streams: false,
  })),
  ...Object.values(FORMATS).map((codec) => ({ codec, channels: 32, streams: true })),
];

/** Every codec under test, once for every number of bits, and every named scheme; by number and name. */
export const CASES: Readonly<Record<string, Case>> = Object.fromEntries(
  all.map((given, i) => [`${i} ${given.codec.name}`, given]),
);

/** The key of the first case whose codec is written so. */
export const keyOf = (name: string): string =>
  Object.keys(CASES).find((key) => CASES[key].codec.name === name)!;

/** How an attention is built. */
export interface Form {
  readonly heads: number;
  readonly group: number;
  readonly rows: Dim;
  readonly tokens: Dim;
  readonly causal: boolean;
}

/** Attention from the stored parts of K and V; a causal one reads its offset from `past`. */
export const attention = (keys: Case, form: Form, values: Case = keys): Term => {
  const [k, v] = ([["k", keys], ["v", values]] as const).map(([name, { codec, channels }]) =>
    cached(codec, name, [form.heads, form.tokens, channels])
  );
  const q = input("q", [form.heads, form.group, form.rows, keys.channels], "f32");
  return attend({ q, k, v, ...form.causal && { causal: { offset: input("past", [], "f32") } } });
};

/** Values for every input of a term: codes in their range, other numbers around 0, some of them 0. */
export const valuesFor = (
  term: Term,
  sizes: Sizes,
  seed: number,
): Record<string, number[]> => {
  const next = normals(seed);
  const one = (t: Term): number => {
    const x = next();
    if (DTYPES[t.dtype].integer) return Math.floor(Math.abs(x) * 1e4) % (DTYPES[t.dtype].max + 1);
    if (Math.abs(x) < 0.1) return 0;
    return t.dtype === "f16" ? roundF16(x) : Math.fround(x);
  };
  return Object.fromEntries(
    topological([term]).flatMap((t) =>
      t.tag === "input"
        ? [[t.name, Array.from({ length: countOf(t.shape, sizes) }, () => one(t))]]
        : []
    ),
  );
};
