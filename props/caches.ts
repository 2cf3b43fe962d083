/**
 * Attention on caches of every codec: the terms that rules and streaming kernels exist for.
 * @module
 */
import fc from "fast-check";
import { attend } from "../dsl/attention/attend.ts";
import { kept } from "../dsl/codec/codec.ts";
import { input } from "../dsl/core/build.ts";
import { castTo, DTYPES } from "../dsl/core/dtype.ts";
import { countOf, type Sizes } from "../dsl/core/shape.ts";
import { type Dim, type Term, topological } from "../dsl/core/term.ts";
import { normals } from "./arbitraries.ts";
import { type Case, CODECS } from "./codecs.ts";
import type { Sample } from "./terms.ts";

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
    kept(codec, name, [form.heads, form.tokens, channels[0]])
  );
  const q = input("q", [form.heads, form.group, form.rows, keys.channels[0]], "f32");
  return attend({ q, k, v, ...form.causal && { causal: { offset: input("past", [], "f32") } } });
};

/** Values for every input of a term: codes in their range, other numbers around 0, some of them what 0 is cast to. */
export const valuesFor = (
  term: Term,
  sizes: Sizes,
  seed: number,
): Record<string, number[]> => {
  const next = normals(seed);
  const one = (t: Term): number => {
    const x = next();
    if (DTYPES[t.dtype].integer) return Math.floor(Math.abs(x) * 1e4) % (DTYPES[t.dtype].max + 1);
    // A power of two is never 0: what a type makes of 0 is what it holds.
    return castTo(t.dtype, Math.abs(x) < 0.1 ? 0 : Math.fround(x));
  };
  return Object.fromEntries(
    topological([term]).flatMap((t) =>
      t.tag === "input"
        ? [[t.name, Array.from({ length: countOf(t.shape, sizes) }, () => one(t))]]
        : []
    ),
  );
};

/** An attention to a cache of arbitrary contents, in words. */
export interface Cached {
  readonly keys: string;
  readonly values: string;
  readonly form: Form;
  readonly sizes: { readonly rows: number; readonly tokens: number };
  /** Row i sees the tokens up to i + past, if causal. */
  readonly past: number;
  readonly seed: number;
}

/** Any codec of K with any codec of V, any mask and grouping, any contents. */
export const cachedArb: fc.Arbitrary<Cached> = fc.record({
  keys: fc.constantFrom(...Object.keys(CODECS)),
  values: fc.constantFrom(...Object.keys(CODECS)),
  form: fc.record({
    heads: fc.constantFrom(1, 2),
    group: fc.constantFrom(1, 2, 3),
    rows: fc.constantFrom(1, 2, 12, "rows"),
    tokens: fc.constantFrom(1, 5, "tokens"),
    causal: fc.boolean(),
  }),
  sizes: fc.record({
    rows: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 6, max: 40 })),
    tokens: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 70 })),
  }),
  past: fc.integer({ min: -6, max: 70 }),
  seed: fc.nat(),
});

/** The attention and its inputs. */
export const cachedSample = ({ keys, values, form, sizes, past, seed }: Cached): Sample => {
  // Keys and values that choose tokens choose the same.
  const chosen = [keys, values].find((name) => CODECS[name].codec.selective !== undefined);
  const [k, v] = [CODECS[chosen ?? keys], CODECS[chosen ?? values]];
  const tokens = (k.streams && v.streams) || form.tokens !== "tokens" ? form.tokens : 7;
  const term = attention(k, { ...form, tokens }, v);
  const inputs = { ...valuesFor(term, sizes, seed), ...form.causal && { past: [past] } };
  return { term, sizes, inputs };
};
