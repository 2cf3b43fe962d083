/**
 * Laws of codecs, evaluated in f64.
 * @module
 */
import { bitsOf, type Codec, identity, isFactored, on } from "../../dsl/codec/codec.ts";
import { codecBound } from "../../dsl/codec/bound.ts";
import type { Claim } from "../../dsl/codec/claim.ts";
import { input } from "../../dsl/core/build.ts";
import { storedBytes } from "../../dsl/core/layout.ts";
import type { Shape } from "../../dsl/core/term.ts";
import { evalAll, type Value } from "../../dsl/read/eval.ts";

/** Unit roundoff of f64. */
export const U = 2 ** -53;

/** A tensor with known sizes. */
export interface Given {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** A codec's parts and what comes back. */
export interface Run {
  readonly decoded: Float64Array;
  readonly bound: Float64Array;
  readonly parts: Readonly<Record<string, Value>>;
}

/** What a codec makes of a tensor whose tokens are known only when it runs, or from the start. */
export const run = (codec: Codec, x: Given, dynamic: boolean): Run => {
  const tokens = x.shape.length - 2;
  const shape: Shape = x.shape.map((n, i) => dynamic && i === tokens ? "tokens" : n);
  const term = input("x", shape, "f32");
  const parts = codec.encode(term);
  const names = Object.keys(parts);
  const env = { sizes: { tokens: x.shape[tokens] }, inputs: { x: x.data } };
  const [decoded, bound, ...rest] = evalAll([
    codec.decode(parts, shape),
    codecBound(codec, term, parts),
    ...Object.values(parts),
  ], env);
  const values: Readonly<Record<string, Value>> = Object.fromEntries(
    names.map((name, i) => [name, rest[i]]),
  );
  return { decoded: decoded.data, bound: bound.data, parts: values };
};

/** √Σx². */
export const norm = (xs: ArrayLike<number>): number => Math.hypot(...Array.from(xs));

/**
 * Rounding of a chain of `factors` orthogonal factors of size n in f64. Jacobi turns a column about n
 * times a sweep, ten sweeps, each at 6 u, so V is orthogonal to 60 n u a column and 60 n^1.5 u in
 * all; the contractions add 3 n u. Relative to the norm of the whole tensor.
 */
export const rounding = (n: number, factors = 1): number => 64 * factors * n ** 1.5 * U;

/** |x − decode(encode(x))| ≤ tolerance · ‖x‖, and nothing but numbers. */
export const losslessLaw = (
  codec: Codec,
  x: Given,
  dynamic: boolean,
  tolerance: number,
): boolean => {
  const limit = tolerance * norm(x.data);
  return run(codec, x, dynamic).decoded.every((y, i) => Math.abs(y - x.data[i]) <= limit);
};

/** |x − decode(encode(x))| ≤ bound, to the rounding of this arithmetic, and all of it finite. */
export const boundLaw = (codec: Codec, x: Given, dynamic: boolean, tolerance: number): boolean => {
  const { decoded, bound } = run(codec, x, dynamic);
  const slack = tolerance * norm(x.data);
  return decoded.every((y, i) =>
    Number.isFinite(y) && Number.isFinite(bound[i]) &&
    Math.abs(y - x.data[i]) <= bound[i] * (1 + tolerance) + slack
  );
};

/**
 * ‖x − decode(encode(x))‖ over what the claim says it is at most, to the rounding of this arithmetic; 0 for a
 * tensor that it says nothing of.
 */
export const claimShare = (codec: Codec, { relative, least, upTo }: Claim, x: Given): number => {
  const [heads, tokens, channels] = x.shape;
  const size = norm(x.data);
  const longest = Math.max(
    ...Array.from(
      { length: heads * tokens },
      (_, i) => norm(x.data.subarray(i * channels, (i + 1) * channels)),
    ),
  );
  if (longest > upTo) return 0;
  const shape: Shape = [heads, "tokens", channels];
  const term = input("x", shape, "f32");
  const env = { sizes: { tokens }, inputs: { x: x.data } };
  const [{ data }] = evalAll([codec.decode(codec.encode(term), shape)], env);
  const most = (relative + rounding(channels)) * size + least * Math.sqrt(heads * tokens);
  return norm(data.map((y, i) => y - x.data[i])) / (most + Number.MIN_VALUE);
};

/** Bits a value × values = 8 × bytes of the stored parts, where all sizes are known. */
export const bitsLaw = (codec: Codec, shape: readonly number[]): boolean => {
  const tokens = shape.length - 2;
  const named: Shape = shape.map((n, i) => i === tokens ? "tokens" : n);
  const sizes = { tokens: shape[tokens] };
  const count = shape.reduce((n, d) => n * d, 1);
  const bytes = Object.values(codec.encode(input("x", named, "f32")))
    .reduce((n, part) => n + storedBytes(part.dtype, part.shape, sizes), 0);
  return Math.abs(bitsOf(codec, named, sizes) * count - 8 * bytes) <= 8 * bytes * 4 * U;
};

/** Two codecs decode a tensor to the same numbers. */
export const sameDecodeLaw = (a: Codec, b: Codec, x: Given, dynamic: boolean): boolean => {
  const other = run(b, x, dynamic).decoded;
  return run(a, x, dynamic).decoded.every((y, i) => Object.is(y, other[i]));
};

/** Parts of a decomposition have the shapes that it says. */
export const shapesLaw = (codec: Codec, shape: readonly number[]): boolean => {
  if (!isFactored(codec)) return false;
  const said = codec.partShapes(shape);
  const made = codec.encode(input("x", shape, "f32"));
  return Object.entries(said).every(([part, dims]) => made[part].shape.join() === dims.join());
};

/** `identity` is the unit of {@link on}: any part stored by it comes back the same. */
export const unitLaw = (codec: Codec, x: Given, dynamic: boolean): boolean =>
  isFactored(codec) &&
  Object.keys(codec.partShapes(x.shape)).every((part) =>
    sameDecodeLaw(on(part, identity)(codec), codec, x, dynamic)
  );

/** Which scale belongs to element i of a matrix. */
export type Scope = (i: number) => number;

/**
 * Codes of the decoded tensor under the same scale and minimum are the codes: x̂ = s·c + m, so
 * rint((x̂ − m) / s) = c. Scale 0 has code 0 only.
 */
export const recodeLaw = (codec: Codec, x: Given, scope: Scope, zero: number): boolean => {
  const { decoded, parts } = run(codec, x, false);
  return parts.codes.data.every((code, i) => {
    const [s, m] = [parts.scale.data[scope(i)], parts.min?.data[scope(i)] ?? 0];
    return (s === 0 ? 0 : Math.round((decoded[i] - m) / s)) + zero === code;
  });
};
