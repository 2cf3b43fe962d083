/**
 * Order along the last axis, by counting: how many entries come before one. No sort, no routine; as many
 * comparisons as pairs of entries, which is little beside the attention of a prompt.
 *
 * ```text
 * rankOf          3 9 9 1    ->  2 0 1 3      the largest first, of equals the earlier
 * placesOf        0 1 0 1    ->  1 3          where marks of 1 stand
 * ```
 * @module
 */
import { broadcast, cast, foldOver, iota, map, sizeTerm } from "./build.ts";
import { same } from "./marks.ts";
import type { Dim, Shape, Term } from "./term.ts";

/** The axis i of x repeated over a shape that has one axis more. */
const along = (x: Term, shape: Shape, missing: number): Term =>
  broadcast(x, shape, shape.map((_, i) => i).filter((i) => i !== missing));

/** How many entries of the last axis are larger, or as large and earlier: 0 for the largest. */
export const rankOf = (x: Term): Term => {
  const n = x.shape.length;
  const shape = [...x.shape, x.shape[n - 1]];
  const [own, other] = [along(x, shape, n), along(x, shape, n - 1)];
  const earlier = map("less", iota(shape, n), iota(shape, n - 1));
  const before = map(
    "select",
    earlier,
    map("sub", 1, map("less", other, own)),
    map("less", own, other),
  );
  return foldOver("sum", "sum", before, [n]);
};

/** Places of the last axis where marks are 1, `count` of them, ascending. */
export const placesOf = (marks: Term, count: Dim): Term => {
  const n = marks.shape.length;
  const [lead, size] = [marks.shape.slice(0, -1), marks.shape[n - 1]];
  const pairs = [...lead, size, size];
  const earlier = map("less", iota(pairs, n), iota(pairs, n - 1));
  const before = foldOver("sum", "sum", map("mul", along(marks, pairs, n - 1), earlier), [n]);
  const shape = [...lead, count, size];
  const here = map(
    "mul",
    along(marks, shape, n - 1),
    same(along(before, shape, n - 1), iota(shape, n - 1)),
  );
  return cast(foldOver("max", "max", map("mul", here, iota(shape, n)), [n]), "u32");
};

/** For each place of an axis of `size`, how many of `places` are smaller, and whether it is one of them. */
export const amongPlaces = (
  places: Term,
  size: Dim,
): { readonly before: Term; readonly present: Term } => {
  const n = places.shape.length;
  const shape = [...places.shape.slice(0, -1), size, places.shape[n - 1]];
  const each = along(places, shape, n - 1);
  const here = iota(shape, n - 1);
  return {
    before: foldOver("sum", "sum", map("less", each, here), [n]),
    present: map("min", foldOver("sum", "sum", same(each, here), [n]), 1),
  };
};

/** 1 for ranks from one place of an axis up to another, else 0. */
export const ranksWithin = (ranks: Term, from: Dim, to: Dim): Term => {
  const below = (end: Dim): Term => map("less", ranks, sizeTerm(end));
  return from === 0 ? below(to) : map("sub", below(to), below(from));
};
