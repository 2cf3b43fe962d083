/**
 * Polar coordinates, level after level: x = radius · direction₁ · … · directionₗ.
 *
 * ```text
 * before: 16 channels                after: 8 + 4 + 2 + 1 directions and one radius, of 4 levels
 * level:  (a, b) = r·(cos φ, sin φ)     of neighbours; the n/2 radii r go to the next level
 * ```
 *
 * A direction is stored as its point (cos φ, sin φ) of the unit circle, in the places of the pair, so that no
 * angle is ever computed; `pairs` of neighbours codes it. Directions of the first level lie anywhere on the
 * circle, those of the others have no negative coordinate, since radii have none. A pair of zeros has radius
 * 0 and direction (0, 0). 2^levels channels side by side share a radius.
 * @module
 */
import { broadcast, foldOver, map, reshape } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import type { Factored, Parts } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";

/** What {@link polar} is asked for. */
export interface Polar {
  /** How often radii are paired: 2^levels values share a radius. */
  readonly levels: number;
}

/** The name of the directions of a level, counted from 1. */
export const directionOf = (level: number): string => `direction${level}`;

/** Radii, each for both channels of its pair. */
const spread = (radius: Term, shape: Shape): Term =>
  reshape(broadcast(radius, [...radius.shape, 2], radius.shape.map((_, i) => i)), shape);

/** The length of every pair of neighbours along the last axis. */
export const pairLengths = (x: Term): Term => {
  const pair = reshape(x, [
    ...x.shape.slice(0, -1),
    (x.shape[x.shape.length - 1] as number) / 2,
    2,
  ]);
  const along = pair.shape.length - 1;
  // Squares of shares of the larger one neither overflow nor vanish.
  const top = foldOver("max", "max", map("abs", pair), [along]);
  const share = map("div", x, spread(top, x.shape));
  const squares = reshape(map("mul", share, share), pair.shape);
  return map("mul", top, map("sqrt", foldOver("sum", "sum", squares, [along])));
};

/** Neighbours over their length: points of the unit circle, or zeros. */
export const directionsOf = (x: Term, lengths: Term): Term =>
  map("div", x, spread(lengths, x.shape));

/** Neighbours of some lengths in some directions. */
export const directed = (directions: Term, lengths: Term): Term =>
  map("mul", directions, spread(lengths, directions.shape));

/**
 * Polar coordinates, level after level: 2^levels neighbouring channels have one radius, and points of unit circles.
 * Parts: `radius` `[…, tokens, d / 2^levels]` and `direction1` `[…, tokens, d]`, `direction2` `[…, tokens, d / 2]`, …,
 * each pair of places one point; `pairs` of neighbours codes them.
 */
export const polar = ({ levels }: Polar): Factored => {
  const name = `polar(${levels})`;
  if (!(Number.isInteger(levels) && levels > 0)) {
    throw new ValueError(name, "the number of levels is not a positive whole number");
  }
  const channelsOf = (shape: Shape): number => {
    const channels = shape[shape.length - 1];
    if (typeof channels === "number" && channels % 2 ** levels === 0) return channels;
    throw new ShapeError(
      name,
      `last axis of ${shapeText(shape)} is ${channels}, no multiple of ${2 ** levels}`,
    );
  };
  const each = Array.from({ length: levels }, (_, i) => i + 1);
  const sized = (shape: Shape, level: number): Shape => [
    ...shape.slice(0, -1),
    channelsOf(shape) / 2 ** level,
  ];
  return {
    name,
    encode: (x) => {
      const parts: Record<string, Term> = {};
      let radius = x;
      channelsOf(x.shape);
      for (const level of each) {
        const long = pairLengths(radius);
        parts[directionOf(level)] = directionsOf(radius, long);
        radius = long;
      }
      return { radius, ...parts };
    },
    decode: (parts: Parts, shape) =>
      each.toReversed().reduce(
        (radius, level) =>
          directed(reshape(parts[directionOf(level)], sized(shape, level - 1)), radius),
        parts.radius,
      ),
    partShapes: (shape) => ({
      radius: sized(shape, levels),
      ...Object.fromEntries(each.map((level) => [directionOf(level), sized(shape, level - 1)])),
    }),
  };
};
