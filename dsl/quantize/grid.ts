/**
 * Vector quantization of pairs: a code stands for a point of a plane, with one scale a token or none.
 *
 * ```text
 * channels i and i + d/2 of x / s  ->  the nearest of 16 points: 4 bits for two values
 * ```
 *
 * Decoded by two look-ups with the same code, one table a coordinate, so that attention meets two ranges of
 * channels. Neighbours i and i + 1 may be a pair instead: one look-up of a row of two. Unless others are given the points are those of least mean square error for two normal numbers: .107 a value at 2 bits,
 * where two scalar codes leave .1175.
 * @module
 */
import { cast, constant, gather, map, reshape, table } from "../core/build.ts";
import { concat, slice } from "../core/pieces.ts";
import { BITS, packedOf } from "../core/dtype.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import type { Codec } from "../codec/codec.ts";
import { argsOf, type Shape, type Term } from "../core/term.ts";
import { rootMeanSquare, type Scope, scopeOf, spread } from "./scope.ts";

/** A point of the plane. */
export type Point = readonly [number, number];

/** Rings and angles over which a normal plane is summed. */
const [RINGS, ANGLES, REACH] = [60, 120, 5];

/** Points that are found when they are first asked for: a scheme that nobody uses costs a script nothing. */
export interface Grid {
  /** How many points. */
  readonly size: number;
  /** All of them, the same each time. */
  readonly points: () => readonly Point[];
}

/** A grid of `size` points, found once. */
export const gridOf = (size: number, find: () => readonly Point[]): Grid => {
  let found: readonly Point[] | undefined;
  return { size, points: () => found ??= find() };
};

/** Index of the nearest of some points to (x, y), the first of equals. */
const nearestIndex = (points: readonly Point[], x: number, y: number): number => {
  let [best, at] = [Infinity, 0];
  for (let i = 0; i < points.length; i++) {
    const far = (x - points[i][0]) ** 2 + (y - points[i][1]) ** 2;
    if (far < best) [best, at] = [far, i];
  }
  return at;
};

/**
 * Sixteen centroids of two independent normal numbers, by Lloyd's iteration from the origin and rings of 6
 * and 9 points, turned so that no point has another's coordinate.
 */
export const normalGrid: Grid = gridOf(16, () => {
  const ring = (count: number, radius: number, first: number): Point[] =>
    Array.from({ length: count }, (_, i): Point => {
      const angle = first + 2 * Math.PI * i / count;
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    });
  let points: Point[] = [[0, 0], ...ring(6, 0.93, 0.2), ...ring(9, 1.91, 0.35)];
  const samples = Array.from({ length: RINGS * ANGLES }, (_, n) => {
    const radius = REACH * (Math.floor(n / ANGLES) + 0.5) / RINGS;
    const angle = 2 * Math.PI * (n % ANGLES + 0.5 * (Math.floor(n / ANGLES) % 2)) / ANGLES;
    const weight = radius * Math.exp(-radius * radius / 2);
    return [radius * Math.cos(angle), radius * Math.sin(angle), weight] as const;
  });
  for (let round = 0; round < 60; round++) {
    const sums = points.map(() => [0, 0, 0]);
    for (const [x, y, weight] of samples) {
      const sum = sums[nearestIndex(points, x, y)];
      sum[0] += weight * x;
      sum[1] += weight * y;
      sum[2] += weight;
    }
    points = sums.map(([x, y, weight]): Point => [x / weight, y / weight]);
  }
  return points;
});

/** Index of the nearest of some points: the largest x·a + y·b − (a² + b²)/2, the first of equals. */
const nearest = (points: readonly Point[], x: Term, y: Term): Term => {
  const closeness = ([a, b]: Point): Term =>
    map("sub", map("add", map("mul", x, a), map("mul", y, b)), (a * a + b * b) / 2);
  let [best, at]: Term[] = [closeness(points[0]), constant(0, x.shape)];
  points.slice(1).forEach((point, i) => {
    const here = closeness(point);
    at = map("select", map("less", best, here), i + 1, at);
    best = map("max", best, here);
  });
  return at;
};

/** How far a number of f32 may be from what it was made of. */
const rounds = (x: number): number => 2 ** -20 * Math.max(Math.abs(x), 1);

/** A point and the coordinates that are compared with it, of x·a + y·b − (a² + b²)/2. */
const closenessIn = (
  t: Term,
): { readonly point: Point; readonly of: readonly Term[] } | undefined => {
  const [sum, half] = argsOf(t);
  const products = sum === undefined ? [] : argsOf(sum).map(argsOf);
  const [a, b] = products.map(([, by]) => by?.tag === "constant" ? by.value : NaN);
  const made = half?.tag === "constant" && products.length === 2 &&
    Math.abs(half.value - (a * a + b * b) / 2) <= rounds(half.value);
  return made ? { point: [a, b], of: products.map(([x]) => x) } : undefined;
};

/** What a choice chooses among: the points, and both coordinates that are compared with them; nothing if it is none. */
export const nearestIn = (
  at: Term,
): { readonly points: readonly Point[]; readonly of: readonly Term[] } | undefined => {
  const found: { readonly point: Point; readonly of: readonly Term[] }[] = [];
  const indices: number[] = [];
  let rest = at;
  let best: Term | undefined;
  while (rest.tag === "map" && rest.op === "select") {
    const [test, index, others] = rest.args;
    const [least, here] = argsOf(test);
    const one = here && closenessIn(here);
    // What the point before was compared with is the largest up to it.
    const follows = best === undefined || best === map("max", least, here);
    if (test.tag !== "map" || test.op !== "less" || one === undefined || !follows) return undefined;
    found.unshift(one);
    [best, rest] = [least, others];
    indices.unshift(index.tag === "constant" ? index.value : NaN);
  }
  const first = best && closenessIn(best);
  const all = first === undefined ? [] : [first, ...found];
  const same = all.every(({ of }) => of.every((x, i) => x === all[0].of[i]));
  const whole = rest.tag === "constant" && rest.value === 0 && all.length > 0 && same &&
    indices.every((index, i) => index === i + 1);
  return whole ? { points: all.map(({ point }) => point), of: all[0].of } : undefined;
};

/** What {@link pairs} is asked for. */
export interface Pairs {
  /** Points of the plane, as many as codes of some bits; {@link normalGrid} unless given. */
  readonly points?: readonly Point[] | Grid;
  /** What of a token is scaled to 1: the root of the mean square, or nothing. */
  readonly scale?: "norm" | "none";
  /** Which channels are a pair: those half a token apart, or neighbours. */
  readonly of?: "halves" | "neighbours";
}

/**
 * Pairs of channels by the nearest of 2^b points of a plane: channels i and i + d/2, or neighbours. Parts: `codes`
 * `[…, tokens, d/2]` and, unless `scale` is `none`, the root mean square of a token, `scale`, in f16.
 */
export const pairs = (
  { points: given = normalGrid, scale: statistic = "norm", of = "halves" }: Pairs = {},
): Codec => {
  const { size, points } = "size" in given ? given : gridOf(given.length, () => given);
  const name = `pairs(${
    [`${size}`, statistic, of].filter((x) => x !== "norm" && x !== "halves").join(", ")
  })`;
  const bits = BITS.find((b) => 2 ** b === size);
  if (bits === undefined) {
    throw new ValueError(name, `points are as many as codes of ${BITS.join(", ")} bits`);
  }
  const halved = (shape: Shape): number => {
    const channels = shape[shape.length - 1];
    if (typeof channels === "number" && channels % 2 === 0) return channels / 2;
    throw new ShapeError("pairs", `channels of ${shapeText(shape)} are not even`);
  };
  const scoped = (shape: Shape, batch: number): Scope => scopeOf("pairs", "token", shape, batch);
  const coded = (y: Term): Term => {
    const half = halved(y.shape);
    const [axis, sides] = [y.shape.length - 1, y.shape.slice(0, -1)];
    const [a, b] = of === "halves"
      ? [0, half].map((start) => slice(y, axis, start, start + half))
      : [0, 1].map((i) =>
        reshape(slice(reshape(y, [...sides, half, 2]), axis + 1, i, i + 1), [...sides, half])
      );
    return cast(nearest(points(), a, b), packedOf(bits));
  };
  const pointsAt = (codes: Term, shape: Shape): Term =>
    of === "halves"
      ? concat([0, 1].map((i) => gather(table(points().map((p) => p[i])), codes)), shape.length - 1)
      : reshape(gather(reshape(table(points().flat()), [size, 2]), codes), shape);
  return {
    name,
    encode: (x, batch = 0) => {
      if (statistic === "none") return { codes: coded(x) };
      const scope = scoped(x.shape, batch);
      const scale = cast(rootMeanSquare(x, scope), "f16");
      return { codes: coded(map("div", x, spread(scale, scope))), scale };
    },
    decode: (parts, shape, batch = 0) => {
      halved(shape);
      const both = pointsAt(parts.codes, shape);
      return statistic === "none"
        ? both
        : map("mul", both, spread(parts.scale, scoped(shape, batch)));
    },
  };
};
