/**
 * Derivatives of a look-up. Rows get what was read of them: a sum over places, written as a product with
 * a matrix of ones and zeros, so that it is a contraction like any other.
 *
 * An index has a derivative where it chooses among the numbers of a `table`: between its entries a table
 * is a straight line (`core/gaps.ts`), and the gradient goes straight through the rounding of the index.
 * The slope is that of the gap in which the index lay before it was rounded. Among other rows an index is
 * a choice, and a choice has none.
 * @module
 */
import { broadcast, cast, contractBy, gather, iota, map } from "../core/build.ts";
import { DTYPES } from "../core/dtype.ts";
import { argsOf, type Dim, type Term, type TermOf, withArgs } from "../core/term.ts";
import { inside, type Shares } from "./maps.ts";

const VIEWS: readonly string[] = ["reshape", "permute", "broadcast", "slice", "concat"];

/** An index before it was rounded, within what its type holds; seen as it is. */
export const unrounded = (index: Term): Term => {
  if (VIEWS.includes(index.tag)) return withArgs(index, argsOf(index).map(unrounded));
  if (index.tag === "gather") {
    return withArgs(index, [unrounded(index.args[0]), index.args[1]]);
  }
  if (index.tag !== "cast" || index.dtype === "f32") return cast(index, "f32");
  const { min, max } = DTYPES[index.dtype];
  return map("min", map("max", cast(index.args[0], "f32"), min), max);
};

/** 1 at the row that an index names, 0 elsewhere: `[...index, rows]`. */
const oneHot = (index: Term, rows: Dim): Term => {
  const shape = [...index.shape, rows];
  const place = broadcast(index, shape, index.shape.map((_, i) => i));
  const row = iota(shape, index.shape.length);
  return map("sub", map("sub", 1, map("less", place, row)), map("less", row, place));
};

/** How fast a table moves with its index, at a place between two entries; beyond its ends it does not. */
const slope = (rows: Term, last: number, index: Term, g: Term): Term | undefined => {
  if (last === 0) return undefined;
  const below = map("max", map("min", map("rint", map("sub", index, 0.5)), last - 1), 0);
  const [from, to] = [below, map("add", below, 1)].map((at) => gather(rows, cast(at, "u32")));
  return inside(index, 0, last, map("mul", g, map("sub", to, from)));
};

/** Shares of the rows and of the index. */
export const gatherShares = (
  { args: [rows, index], batch = 0 }: TermOf<"gather">,
  g: Term,
): Shares => {
  const places = index.shape.map((_, i) => `i${i}`);
  const channels = rows.shape.slice(batch + 1).map((_, i) => `c${i}`);
  const summed = contractBy(
    {
      args: [[...places, ...channels], [...places, "row"]],
      out: [...places.slice(0, batch), "row", ...channels],
    },
    g,
    oneHot(index, rows.shape[batch]),
  );
  const among = rows.tag === "table"
    ? slope(rows, rows.values.length - 1, unrounded(index), g)
    : undefined;
  return [summed, among];
};
