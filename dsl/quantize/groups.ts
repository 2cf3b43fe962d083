/**
 * Affine codes in groups of consecutive columns, the last of which may be shorter: matrices of weights have
 * the widths they have.
 *
 * m = h(min), s = h((max − m) / (2^b − 1)), c = clamp(rint((x − m) / s)), x̂ = s·c + m for each row and
 * group. Where the group divides the width these are the parts of `quantize({ per: group })`.
 * @module
 */
import { broadcast, cast, foldOver, map, reshape } from "../core/build.ts";
import { concat, slice } from "../core/pieces.ts";
import { type Bits, packedOf } from "../core/dtype.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import type { Codec } from "../codec/codec.ts";
import type { Dim, Shape, Term } from "../core/term.ts";

/** What is stored of a group of each row. */
export interface Groups {
  readonly scale: Term;
  readonly min: Term;
}

/** Columns, and how many groups they are. */
const widthOf = (shape: Shape, group: number): { columns: number; groups: number } => {
  const columns = shape[shape.length - 1];
  if (typeof columns !== "number") {
    throw new ShapeError(
      "groups",
      `columns of ${shapeText(shape)} have the dynamic size ${columns}`,
    );
  }
  if (!(Number.isInteger(group) && group > 0)) {
    throw new ValueError("groups", `group is ${group}, not a positive integer`);
  }
  return { columns, groups: Math.ceil(columns / group) };
};

const withLast = (shape: Shape, ...dims: readonly Dim[]): Shape => [...shape.slice(0, -1), ...dims];

/** Columns seen as whole groups: the last column is repeated, which no extent sees. */
export const groupsOf = (x: Term, group: number): Term => {
  const { columns, groups } = widthOf(x.shape, group);
  const [axis, missing] = [x.shape.length - 1, groups * group - columns];
  const last = slice(x, axis, columns - 1, columns);
  const row = reshape(last, withLast(x.shape));
  const more = broadcast(row, withLast(x.shape, missing), row.shape.map((_, i) => i));
  const whole = missing === 0 ? x : concat([x, more], axis);
  return reshape(whole, withLast(x.shape, groups, group));
};

/** A statistic of groups, repeated for each of their columns. */
export const spreadGroups = (stat: Term, columns: number, group: number): Term => {
  const { shape } = stat;
  const groups = shape[shape.length - 1] as number;
  const each = broadcast(stat, [...shape, group], shape.map((_, i) => i));
  return slice(reshape(each, withLast(shape, groups * group)), shape.length - 1, 0, columns);
};

/** Scale and minimum of every row and group, as they are stored. */
export const gridOf = (x: Term, bits: Bits, group: number): Groups => {
  const view = groupsOf(x, group);
  const [lo, hi] = ["lo", "hi"].map((end) => foldOver("extent", end, view, [-1]));
  const min = cast(lo, "f16");
  const range = map("max", map("sub", hi, min), 0);
  return { scale: cast(map("div", range, 2 ** bits - 1), "f16"), min };
};

/** What codes stand for. */
export const onGrid = (codes: Term, { scale, min }: Groups, group: number): Term => {
  const { columns } = widthOf(codes.shape, group);
  return map(
    "add",
    map("mul", codes, spreadGroups(scale, columns, group)),
    spreadGroups(min, columns, group),
  );
};

/** Rounds to nearest on a grid of `group` columns. */
export const quantizeGroups = (bits: Bits, group: number): Codec => ({
  name: `quantizeGroups(${bits}, ${group})`,
  encode: (x) => {
    const { columns } = widthOf(x.shape, group);
    const { scale, min } = gridOf(x, bits, group);
    const above = map("sub", x, spreadGroups(min, columns, group));
    const steps = map("div", above, spreadGroups(scale, columns, group));
    return { codes: cast(steps, packedOf(bits)), scale, min };
  },
  decode: ({ codes, scale, min }) => onGrid(codes, { scale, min }, group),
});
