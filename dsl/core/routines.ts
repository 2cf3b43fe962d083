/**
 * Smart constructors of routines: what no expression derives.
 * @module
 */
import { ShapeError, shapeText, ValueError } from "./errors.ts";
import { intern, type MatrixRoutine, type Shape, type Term } from "./term.ts";

/** A routine on the last two axes; the axes before are a batch. */
export const routine = (name: MatrixRoutine, project: string, arg: Term): Term => {
  const [m, n] = arg.shape.slice(-2);
  const batch = arg.shape.slice(0, -2);
  if (arg.shape.length < 2) {
    throw new ShapeError(name, `needs a matrix, got ${shapeText(arg.shape)}`);
  }
  if (typeof n !== "number") throw new ShapeError(name, `columns have the dynamic size ${n}`);
  if ((name === "eigh" || name === "cholesky") && m !== n) {
    throw new ShapeError(name, `matrix is ${m} by ${n}, not square`);
  }
  if (typeof m === "number" && m < n) {
    throw new ShapeError(name, `matrix is ${m} by ${n}, wider than tall`);
  }
  const shapes: Record<MatrixRoutine, Record<string, Shape>> = {
    eigh: { vectors: [n, n], values: [n] },
    svd: { u: [m, n], s: [n], v: [n, n] },
    qr: { q: [m, n], r: [n, n] },
    cholesky: { lower: [n, n], inverse: [n, n] },
  };
  const shape = shapes[name][project];
  if (shape === undefined) {
    throw new ValueError(name, `has no ${project}, it has ${Object.keys(shapes[name]).join(", ")}`);
  }
  return intern("routine", { routine: name, project, args: [arg] }, [...batch, ...shape], "f32");
};

/** Numbers that codes 0 … top stand for: scale · code + min, one triple an element. */
export interface Grid {
  /** Distance between two neighbours. */
  readonly scale: Term;
  /** What code 0 stands for. */
  readonly min: Term;
  /** The largest code. */
  readonly top: Term;
}

/**
 * Rounds a matrix `w` [rows, n] to a grid of its shape, column after column, and takes what a column lost
 * off the columns after it: c = clamp(rint((w_i − min) / scale), 0, top), e = (w_i − scale·c − min) / u_ii,
 * w_j ← w_j − e·u_ij for j > i. Reads `codes` (whole numbers) or `errors` (e) of each column; only the upper
 * triangle of `u` [n, n] counts, and a u_ii of 0 gives no error. With u diagonal it rounds to nearest.
 */
export const feedback = (
  project: "codes" | "errors",
  w: Term,
  u: Term,
  { scale, min, top }: Grid,
): Term => {
  const n = w.shape[w.shape.length - 1];
  if (w.shape.length < 2) {
    throw new ShapeError("feedback", `needs a matrix, got ${shapeText(w.shape)}`);
  }
  if (typeof n !== "number") throw new ShapeError("feedback", `columns have the dynamic size ${n}`);
  const wants = [w.shape, [...w.shape.slice(0, -2), n, n]];
  [w, u, scale, min, top].forEach((arg, i) => {
    const want = wants[i === 1 ? 1 : 0];
    if (arg.shape.join() !== want.join()) {
      throw new ShapeError(
        "feedback",
        `${["w", "u", "scale", "min", "top"][i]} is ${shapeText(arg.shape)}, not ${
          shapeText(want)
        }`,
      );
    }
  });
  const args = [w, u, scale, min, top];
  return intern("routine", { routine: "feedback", project, args }, w.shape, "f32");
};
