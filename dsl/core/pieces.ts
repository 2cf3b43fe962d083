/**
 * Pieces of an axis, and pieces side by side again: slices, runs of a named axis, concatenations.
 * @module
 */
import { axisOf, nameOf } from "./build.ts";
import { joinedDim, type Place, rangeDim } from "./dims.ts";
import { ShapeError, shapeText, ValueError } from "./errors.ts";
import { type Dim, intern, type Term } from "./term.ts";

/** Entries `start` to `stop` (not included) of one axis of known size. */
export const slice = (arg: Term, axis: number, start: number, stop: number): Term => {
  const op = `slice ${shapeText(arg.shape)}`;
  const at = axisOf(op, arg.shape, axis);
  const size = arg.shape[at];
  if (typeof size !== "number") {
    throw new ShapeError(op, `axis ${axis} has the dynamic size ${size}`);
  }
  if (!(start >= 0 && start < stop && stop <= size)) {
    throw new ShapeError(op, `entries ${start} to ${stop} are not within axis ${axis} of ${size}`);
  }
  return sliced(arg, at, start, stop - start);
};

/** `size` entries of an axis from `start` on, both within it; they may follow from a name. */
export const sliced = (arg: Term, axis: number, start: Dim, size: Dim): Term => {
  if (start === 0 && size === arg.shape[axis]) return arg;
  const shape = arg.shape.map((d, i) => i === axis ? size : d);
  return intern("slice", { args: [arg], axis, start }, shape, arg.dtype);
};

/**
 * The run of an axis between two places (`core/dims.ts`), to the end without the second one; the size of
 * the axis may be a name. Nothing, where a known size leaves it empty.
 */
export const range = (arg: Term, axis: number, from: Place, to?: Place): Term | undefined => {
  const at = axisOf(`range of ${shapeText(arg.shape)}`, arg.shape, axis);
  const [start, size] = [
    rangeDim(arg.shape[at], { start: 0 }, from),
    rangeDim(arg.shape[at], from, to),
  ];
  return size === 0 ? undefined : sliced(arg, at, start, size);
};

/**
 * Arguments one after the other along one axis: of known sizes, or runs of a name that lie side by side.
 */
export const concat = (args: readonly Term[], axis: number): Term => {
  if (args.length === 0) throw new ValueError("concat", "takes at least one operand, got 0");
  const first = args[0];
  const at = axisOf("concat", first.shape, axis);
  for (const arg of args) {
    const fits = arg.shape.length === first.shape.length && arg.dtype === first.dtype &&
      arg.shape.every((d, i) => i === at || d === first.shape[i]);
    if (!fits) {
      throw new ShapeError(
        "concat",
        `${nameOf(first)} is ${first.dtype} ${shapeText(first.shape)} and ${
          nameOf(arg)
        } is ${arg.dtype} ${shapeText(arg.shape)}`,
      );
    }
  }
  if (args.length === 1) return first;
  const total = joinedDim(args.map((a) => a.shape[at]));
  if (total === undefined) {
    throw new ShapeError(
      "concat",
      `axis ${axis} has the sizes ${args.map((a) => a.shape[at]).join(", ")}, which do not adjoin`,
    );
  }
  return intern(
    "concat",
    { args, axis: at },
    first.shape.map((d, i) => i === at ? total : d),
    first.dtype,
  );
};
