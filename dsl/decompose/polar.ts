/**
 * Polar coordinates, level after level: x = radius · direction₁ · … · directionₗ.
 *
 * ```text
 * before: 16 channels                after: 8 + 4 + 2 + 1 directions and one radius, of 4 levels
 * level:  (a, b) = r·(cos φ, sin φ)     of channels i and i + n/2; the n/2 radii r go to the next level
 * ```
 *
 * A direction is stored as its point (cos φ, sin φ) of the unit circle, all first coordinates before all
 * second ones, so that no angle is ever computed; `pairs` codes it. Directions of the first level lie
 * anywhere on the circle, those of the others have no negative coordinate, since radii have none. A pair of
 * zeros has radius 0 and direction (0, 0). All levels at once make 2^levels channels of one radius: those
 * that are n / 2^levels apart.
 * @module
 */
import { map } from "../core/build.ts";
import { concat, slice } from "../core/pieces.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { type Factored, type Parts } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";

/** What {@link polar} is asked for. */
export interface Polar {
  /** How often radii are paired: 2^levels values share a radius. */
  readonly levels: number;
}

/** The name of the directions of a level, counted from 1. */
export const directionOf = (level: number): string => `direction${level}`;

/** The codec of a radius and directions of every level; see the head of the file. */
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
  const halves = (x: Term): readonly [Term, Term] => {
    const axis = x.shape.length - 1;
    const half = (x.shape[axis] as number) / 2;
    return [slice(x, axis, 0, half), slice(x, axis, half, 2 * half)];
  };
  /** √(a² + b²), so that squares neither overflow nor vanish. */
  const radiusOf = (a: Term, b: Term): Term => {
    const top = map("max", map("abs", a), map("abs", b));
    const share = (x: Term): Term => {
      const part = map("div", x, top);
      return map("mul", part, part);
    };
    return map("mul", top, map("sqrt", map("add", share(a), share(b))));
  };
  const each = Array.from({ length: levels }, (_, i) => i + 1);
  const sized = (shape: Shape, level: number): Shape => [
    ...shape.slice(0, -1),
    channelsOf(shape) / 2 ** level,
  ];
  return {
    name,
    encode: (x) => {
      channelsOf(x.shape);
      const axis = x.shape.length - 1;
      const parts: Record<string, Term> = {};
      let radius = x;
      for (const level of each) {
        const [a, b] = halves(radius);
        radius = radiusOf(a, b);
        parts[directionOf(level)] = concat([a, b].map((y) => map("div", y, radius)), axis);
      }
      return { radius, ...parts };
    },
    decode: (parts: Parts, shape) => {
      channelsOf(shape);
      const axis = shape.length - 1;
      return each.toReversed().reduce((radius, level) => {
        const points = halves(parts[directionOf(level)]);
        return concat(points.map((point) => map("mul", point, radius)), axis);
      }, parts.radius);
    },
    partShapes: (shape) => ({
      radius: sized(shape, levels),
      ...Object.fromEntries(each.map((level) => [directionOf(level), sized(shape, level - 1)])),
    }),
  };
};
