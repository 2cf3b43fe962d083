/**
 * A codec has parts: `encode` turns a tensor into named stored parts, `decode` turns parts back.
 * Decompositions are lossless codecs, quantizers lossy ones; papers are built from them with
 * {@link on}, {@link perHead} and {@link joinHeads}.
 *
 * A codec sees `[...batch, ...rows, tokens, channels]`: the first `batch` axes are independent,
 * the last two are tokens and channels. Bits are derived from the stored parts, never typed by hand.
 *
 * Laws (`props/laws/codec.ts`): `on` and composition are associative with {@link identity} as unit;
 * |x − decode(encode(x))| ≤ `codecBound`; bits = bytes stored × 8.
 * @module
 */
import { cast, growing, input, permute, reshape } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { everyOf, grows, rootOf, sizeOf, type Sizes } from "../core/dims.ts";
import type { StoredFloat } from "../core/dtype.ts";
import { storedBits } from "../core/layout.ts";
import type { Dim, Shape, Term } from "../core/term.ts";
import { type ByHead, byHeads } from "./heads.ts";
import { inside, outside, type Parts, prefixed } from "./parts.ts";

export type { Parts } from "./parts.ts";

/** The name of the part that holds the tensor itself in a codec of one part. */
export const VALUES = "values";

/** A way to store a tensor. `shape` and `batch` say what is encoded, so that decode can rebuild it. */
export interface Codec {
  /** The codec as it is written. */
  readonly name: string;
  /** Parts of a tensor, each with the dtype it is stored in. */
  readonly encode: (x: Term, batch?: number) => Parts;
  /** The tensor of this shape behind the parts. */
  readonly decode: (parts: Parts, shape: Shape, batch?: number) => Term;
  /**
   * Parts of later tokens, against those parts of the first ones that have no tokens. Only where that is
   * another formula than `encode` with those parts for what it would make of them (`streaming.ts`).
   */
  readonly extend?: Extend;
  /** What the parts without tokens are made of, where that is a sum over tokens (`online.ts`). */
  readonly learn?: Learn;
  /** Where tokens are stored in another order, or not all of them (`by_token.ts`). */
  readonly selective?: Selection;
}

/** Parts that are made of sums over tokens. */
export interface Learn {
  /** Sums over the tokens of x, in f32: those of two runs of tokens are added. */
  readonly sums: (x: Term, batch?: number) => Parts;
  /** The parts without tokens, as they are stored, of the sums over all tokens. */
  readonly fixed: (sums: Parts, batch?: number) => Parts;
}

/** Tokens as they are stored, and where each stood. */
export interface Stored {
  /** `[…, kept, channels]`. */
  readonly tokens: Term;
  /** Places among all tokens, `[…, kept]`. */
  readonly positions: Term;
}

/** What a codec that chooses tokens says of them. */
export interface Selection {
  /** Are there tokens of which nothing is stored? */
  readonly drops: boolean;
  /** Which tokens it stores, of a tensor of this shape: what keys and values must have in common. */
  readonly indices: (shape: Shape) => readonly Term[];
  /** The tokens that are stored. */
  readonly seen: (parts: Parts, shape: Shape, batch?: number) => Stored;
}

/** A codec that chooses tokens. */
export interface Selective extends Codec {
  /** The tokens that it stores. */
  readonly selective: Selection;
}

/** Is it a codec, where no type was checked? Throws naming the operation. */
export const checkCodec = (operation: string, codec: Codec): void => {
  if (typeof codec?.encode === "function" && typeof codec.decode === "function") return;
  const given: unknown = codec;
  const why = typeof given === "function"
    ? `the function ${given.name || "given"}: call it`
    : typeof given === "object" && given !== null
    ? `an object of ${Object.keys(given).join(", ") || "nothing"}`
    : `${given}`;
  throw new ValueError(operation, `wants a codec, got ${why}`);
};

/** A codec inside of another one, of all tokens: what is made of tokens that are not there would count as 0. */
export const ofAllTokens = (operation: string, codec: Codec): Codec => {
  checkCodec(operation, codec);
  if (!codec.selective?.drops) return codec;
  throw new ValueError(
    operation,
    `${codec.name} drops tokens: it is the outermost codec, or perHead's`,
  );
};

/** See {@link Codec.extend}. */
export type Extend = (x: Term, fixed: Parts, batch?: number) => Parts;

/** A codec around another one extends as that one does. */
const extended = (of: Codec, by: (extend: Extend) => Extend): { readonly extend?: Extend } =>
  of.extend === undefined ? {} : { extend: by(of.extend) };

/** A codec around another one learns as that one does. */
const learnt = (of: Codec, by: (learn: Learn) => Learn): { readonly learn?: Learn } =>
  of.learn === undefined ? {} : { learn: by(of.learn) };

/** Stores the tensor as it is, in f32. */
export const identity: Codec = {
  name: "identity",
  encode: (x) => ({ [VALUES]: x }),
  decode: (parts) => parts[VALUES],
};

/** Stores the tensor as floats of fewer bits: half to even, saturating at the largest. */
export const float = (dtype: StoredFloat): Codec => ({
  name: dtype,
  encode: (x) => ({ [VALUES]: cast(x, dtype) }),
  decode: (parts) => parts[VALUES],
});

/** Stores the tensor in f16, up to ±65504. */
export const f16: Codec = float("f16");

/** A codec whose parts can be stored by other codecs: a decomposition. */
export interface Factored extends Codec {
  /** Shapes of the parts of a tensor of this shape. */
  readonly partShapes: (shape: Shape, batch?: number) => Readonly<Record<string, Shape>>;
}

/** Is the codec a decomposition whose parts can be stored by other codecs? */
export const isFactored = (codec: Codec): codec is Factored => "partShapes" in codec;

/**
 * Stores one part of a decomposition with another codec.
 *
 * Before: `{ large, small }`; after `on("large", quantize(4))`: `{ large.codes, large.scale, small }`.
 */
export const on = (part: string, codec: Codec): (outer: Codec) => Factored => (outer) => {
  ofAllTokens(`on("${part}")`, codec);
  if (!isFactored(outer)) {
    throw new ValueError(`on("${part}")`, `${outer.name} has no parts to store apart`);
  }
  const shapeOf = (shape: Shape, batch?: number): Shape => {
    const shapes = outer.partShapes(shape, batch);
    if (shapes[part] === undefined) {
      throw new ValueError(
        `on("${part}")`,
        `${outer.name} has the parts ${Object.keys(shapes).join(", ")}`,
      );
    }
    return shapes[part];
  };
  const batchOf = (shape: Shape, batch = 0): number =>
    Math.min(batch, shapeOf(shape, batch).length);
  const whole = (parts: Parts, shape: Shape, batch?: number): Parts => ({
    ...outside(parts, part),
    [part]: codec.decode(inside(parts, part), shapeOf(shape, batch), batchOf(shape, batch)),
  });
  return {
    name: `${outer.name} |> on(${part}, ${codec.name})`,
    encode: (x, batch) => {
      const parts = outer.encode(x, batch);
      const target = parts[part];
      shapeOf(x.shape, batch);
      const { [part]: _, ...rest } = parts;
      return { ...prefixed(part, codec.encode(target, batchOf(x.shape, batch))), ...rest };
    },
    decode: (parts, shape, batch) => outer.decode(whole(parts, shape, batch), shape, batch),
    ...extended(outer, (extend) => (x, fixed, batch) => {
      const own = Object.keys(inside(fixed, part)).length > 0;
      const parts = extend(x, own ? whole(fixed, x.shape, batch) : fixed, batch);
      const { [part]: target, ...rest } = parts;
      return target === undefined
        ? parts
        : { ...prefixed(part, codec.encode(target, batchOf(x.shape, batch))), ...rest };
    }),
    ...learnt(outer, ({ sums, fixed }) => ({
      sums,
      fixed: (of, batch = 0) => {
        const { [part]: target, ...rest } = fixed(of, batch);
        if (target === undefined) return rest;
        const own = codec.encode(target, Math.min(batch, target.shape.length));
        return { ...prefixed(part, own), ...rest };
      },
    })),
    partShapes: (shape, batch) => {
      const { [part]: _, ...rest } = outer.partShapes(shape, batch);
      return rest;
    },
  };
};

const inHeads = (of: Selection): Selection => ({
  ...of,
  seen: (parts, shape, batch = 0) => of.seen(parts, shape, batch + 1),
});

/** Makes the first axis independent: statistics and factors are not shared across heads. */
export const perHead = (codec: Codec): Codec => ({
  name: `perHead(${codec.name})`,
  encode: (x, batch = 0) => codec.encode(x, batch + 1),
  decode: (parts, shape, batch = 0) => codec.decode(parts, shape, batch + 1),
  ...extended(codec, (extend) => (x, fixed, batch = 0) => extend(x, fixed, batch + 1)),
  ...learnt(codec, ({ sums, fixed }) => ({
    sums: (x, batch = 0) => sums(x, batch + 1),
    fixed: (of, batch = 0) => fixed(of, batch + 1),
  })),
  ...codec.selective === undefined ? {} : { selective: inHeads(codec.selective) },
});

/**
 * `["h", t, d]` as `[t, h·d]`: one row a token over all heads, as the papers write X ∈ R^{L×D}. What of it is a
 * head's own is stored head by head (`heads.ts`).
 */
export const joinHeads = (codec: Codec): Codec => {
  const joined = (shape: Shape): { h: number; t: Dim; d: number } => {
    const [h, t, d] = shape;
    if (shape.length !== 3 || typeof h !== "number" || typeof d !== "number") {
      throw new ShapeError(
        "joinHeads",
        `needs [heads, tokens, channels] with known heads and channels, got ${shapeText(shape)}`,
      );
    }
    return { h, t, d };
  };
  const join = (x: Term): Term => {
    const { h, t, d } = joined(x.shape);
    return reshape(permute(x, [1, 0, 2]), [t, h * d]);
  };
  const split = (y: Term, shape: Shape): Term => {
    const { h, t, d } = joined(shape);
    return permute(reshape(y, [t, h, d]), [1, 0, 2]);
  };
  ofAllTokens("joinHeads", codec);
  const known = new Map<string, ByHead>();
  const laid = (shape: Shape): ByHead => {
    const { h, t, d } = joined(shape);
    const key = JSON.stringify(shape);
    if (!known.has(key)) known.set(key, byHeads(codec, h, t, d));
    return known.get(key)!;
  };
  return {
    name: `joinHeads(${codec.name})`,
    encode: (x) => laid(x.shape).apart(codec.encode(join(x))),
    ...extended(codec, (extend) => (x, fixed) => laid(x.shape).apart(extend(join(x), fixed))),
    ...learnt(codec, ({ sums, fixed }) => ({ sums: (x) => sums(join(x)), fixed })),
    decode: (parts, shape) => {
      const { h, t, d } = joined(shape);
      return split(codec.decode(laid(shape).joined(parts), [t, h * d]), shape);
    },
  };
};

/** The stored parts of a tensor as inputs of a program: `k.codes`, `k.scale`, … */
export const stored = (codec: Codec, name: string, shape: Shape): Parts => {
  checkCodec(`stored parts of "${name}"`, codec);
  return Object.fromEntries(
    Object.entries(codec.encode(input(name, shape, "f32"))).map(([part, term]) => [
      part,
      growing(`${name}.${part}`, term.shape, term.dtype),
    ]),
  );
};

/** A tensor as a program reads it from its stored parts. */
export const cached = (codec: Codec, name: string, shape: Shape): Term => {
  const parts = stored(codec, name, shape);
  return codec.decode(parts, shape);
};

/** Tokens of a cache as attention reads them: those that are stored, in the order in which they are. */
export interface Kept {
  /** `[…, kept, channels]`. */
  readonly tokens: Term;
  /** Places among all tokens, `[…, kept]`; those of all tokens in their order unless given. */
  readonly positions?: Term;
  /** Which tokens these are: equal for keys and values that go together. */
  readonly which: readonly Term[];
}

/**
 * What attention reads of a cache: where a codec drops tokens, those that are left. Places of tokens that were
 * sorted into several runs are found by counting pairs of tokens, where a mask asks for them: made once, by a
 * program of `kept(…).positions`, they can be given as a term, an input say.
 */
export const kept = (codec: Codec, name: string, shape: Shape, places?: Term): Kept => {
  checkCodec(`kept "${name}"`, codec);
  const { selective } = codec;
  if (selective === undefined) return { tokens: cached(codec, name, shape), which: [] };
  const found = selective.seen(stored(codec, name, shape), shape);
  const { shape: own } = found.positions;
  if (places !== undefined && own.join() !== places.shape.join()) {
    throw new ShapeError(
      `kept "${name}"`,
      `places are ${shapeText(places.shape)}, of tokens ${shapeText(own)}`,
    );
  }
  return { ...found, positions: places ?? found.positions, which: selective.indices(shape) };
};

/**
 * Bits per value, derived from what is stored. Named sizes that are not given go to infinity:
 * parts that do not grow with them cost nothing in the limit.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, quantize } from "kvfold";
 * const codec = quantize({ bits: 4, per: "token", range: "symmetric" });
 * ok(bitsOf(codec, ["heads", "tokens", 64]) === 4.25);
 * ```
 */
export const bitsOf = (codec: Codec, shape: Shape, sizes: Sizes = {}): number => {
  checkCodec("bitsOf", codec);
  const names = shape.filter((d) => typeof d === "string").map(rootOf);
  const left = names.filter((name) => sizes[name] === undefined);
  for (const [name, size] of Object.entries(sizes)) {
    if (left.length > 0 && !names.includes(name)) {
      throw new ValueError("bitsOf", `size ${name} is of no dim of ${shapeText(shape)}`);
    }
    if (!(Number.isInteger(size) && size > 0)) {
      throw new ValueError("bitsOf", `size ${name} is ${size}, not a positive count`);
    }
  }
  const parts = Object.values(codec.encode(input("x", shape, "f32")));
  const free = (d: Dim): boolean => typeof d === "string" && sizes[rootOf(d)] === undefined;
  const growing = (d: Dim): boolean => typeof d === "string" && free(d) && grows(d);
  const degree = (s: Shape): number => s.filter(growing).length;
  const all = { ...sizes };
  // In the limit what grows counts by how fast it does, what does not grow for nothing.
  const each = [...new Set([shape, ...parts.map((p) => p.shape)].flat().filter(free))];
  each.forEach((d) => all[d] = 1 / everyOf(d as string));
  const values = shape.reduce<number>((n, d) => n * sizeOf(d, all), 1);
  return parts
    .filter((p) => degree(p.shape) === degree(shape))
    .reduce((bits, p) => bits + storedBits(p.dtype, p.shape, all, each.length === 0), 0) / values;
};
