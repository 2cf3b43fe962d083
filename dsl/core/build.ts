/**
 * Smart constructors of terms: every shape is checked here, once.
 * @module
 */
import { type DType, DTYPES } from "./dtype.ts";
import { ShapeError, shapeText, ValueError } from "./errors.ts";
import { canonical, type Contracted, labelDims, parseNotation } from "./notation.ts";
import { type Op, OPS } from "./ops.ts";
import { regroups } from "./shape.ts";
import { type Dim, intern, type Labels, type MonoidName, type Shape, type Term } from "./term.ts";

/** Shape of the result of a permutation, as a type. */
export type Permuted<S extends Shape, P extends readonly number[]> = number extends S["length"]
  ? Shape
  : { readonly [K in keyof P]: P[K] extends keyof S ? S[P[K]] extends Dim ? S[P[K]] : Dim : Dim };

/** A name for an operand in an error. */
export const nameOf = (term: Term): string => term.tag === "input" ? term.name : term.tag;

const checkDims = (operation: string, shape: Shape): void =>
  shape.forEach((dim) => {
    if (typeof dim === "number" && !(Number.isInteger(dim) && dim > 0)) {
      throw new ShapeError(
        operation,
        `dim ${dim} of ${shapeText(shape)} is not a positive integer`,
      );
    }
    if (dim === "") throw new ShapeError(operation, `a dim of ${shapeText(shape)} has no name`);
  });

const checkDType = (operation: string, dtype: DType): void => {
  if (Object.hasOwn(DTYPES, dtype)) return;
  const names = Object.keys(DTYPES).join(", ");
  throw new ValueError(operation, `dtype is ${dtype}, not one of ${names}`);
};

const checkInput = (name: string, shape: Shape, dtype: DType): void => {
  const operation = `input "${name}"`;
  if (name === "") throw new ValueError(operation, `of ${shapeText(shape)} has no name`);
  checkDims(operation, shape);
  checkDType(operation, dtype);
};

/** A tensor given when the program runs. */
export const input = <const S extends Shape, D extends DType>(
  name: string,
  shape: S,
  dtype: D,
): Term<S, D> => {
  checkInput(name, shape, dtype);
  return intern("input", { name }, shape, dtype) as Term<S, D>;
};

/** A tensor given when the program runs, in memory that may have room for more: a cache that grows. */
export const growing = <const S extends Shape, D extends DType>(
  name: string,
  shape: S,
  dtype: D,
): Term<S, D> => {
  if (!shape.slice(1).some((d) => typeof d === "string")) return input(name, shape, dtype);
  checkInput(name, shape, dtype);
  return intern("input", { name, room: true }, shape, dtype) as Term<S, D>;
};

/** The same number everywhere. */
export const constant = <const S extends Shape>(value: number, shape: S): Term<S, "f32"> => {
  checkDims("constant", shape);
  if (!Number.isFinite(value)) throw new ValueError("constant", `value is ${value}, not a number`);
  return intern("constant", { value: Math.fround(value) }, shape, "f32") as Term<S, "f32">;
};

/**
 * Numbers along one axis. Rows of it chosen by codes are a codebook: `gather(table(centroids), codes)`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { evaluate, gather, input, table } from "kvfold";
 * const x = gather(table([-1, 0, 0.5, 1]), input("codes", [3], "u2"));
 * ok(evaluate(x, { sizes: {}, inputs: { codes: [3, 0, 2] } }).data.join() === "1,-1,0.5");
 * ```
 */
export const table = (values: readonly number[]): Term<Shape, "f32"> => {
  if (values.length === 0) throw new ValueError("table", "takes at least one number, got 0");
  const wrong = values.findIndex((x) => !Number.isFinite(Math.fround(x)));
  if (wrong >= 0) throw new ValueError("table", `entry ${wrong} is ${values[wrong]}, not a number`);
  const stored = Object.freeze(values.map(Math.fround));
  return intern("table", { values: stored }, [values.length], "f32") as Term<Shape, "f32">;
};

/** The index along one axis, from `start` on: a number, or the size of a name. */
export const iota = <const S extends Shape>(
  shape: S,
  axis: number,
  start: Dim = 0,
): Term<S, "f32"> => {
  checkDims("iota", shape);
  if (shape[axis] === undefined) {
    throw new ShapeError("iota", `axis ${axis} is not in ${shapeText(shape)}`);
  }
  return intern("iota", { axis, start }, shape, "f32") as Term<S, "f32">;
};

/** A size as a number of no axes, known when a program runs. */
export const sizeTerm = (dim: Dim): Term =>
  typeof dim === "number" ? constant(dim, []) : reshape(iota([1], 0, dim), []);

/** Axis i of the argument becomes axis `axes[i]` of `shape`; the other axes repeat. */
export const broadcast = <const S extends Shape>(
  arg: Term,
  shape: S,
  axes: readonly number[],
): Term<S, DType> => {
  const op = `broadcast ${shapeText(arg.shape)} to ${shapeText(shape)}`;
  if (axes.length !== arg.shape.length) {
    throw new ShapeError(op, `${arg.shape.length} axes, ${axes.length} places`);
  }
  axes.forEach((to, i) => {
    if (i > 0 && to <= axes[i - 1]) {
      throw new ShapeError(op, `places ${axes.join(" ")} do not ascend`);
    }
    if (shape[to] !== arg.shape[i]) {
      throw new ShapeError(
        op,
        `axis ${i} is ${arg.shape[i]} in ${nameOf(arg)} and ${shape[to]} in the result`,
      );
    }
  });
  if (axes.length === shape.length) return arg as Term<S, DType>;
  if (arg.tag === "constant") return constant(arg.value, shape);
  return intern("broadcast", { args: [arg], axes }, shape, arg.dtype) as Term<S, DType>;
};

const aligned = (op: string, args: readonly (Term | number)[]): Term[] => {
  const terms = args.filter((a): a is Term => typeof a !== "number");
  const widest = terms.reduce((a, b) => b.shape.length > a.shape.length ? b : a);
  return args.map((a) => {
    if (typeof a === "number") return constant(a, widest.shape);
    const shift = widest.shape.length - a.shape.length;
    a.shape.forEach((dim, i) => {
      if (dim !== widest.shape[i + shift]) {
        throw new ShapeError(
          op,
          `axis ${i + shift} is ${dim} in ${nameOf(a)} ${shapeText(a.shape)} and ${
            widest.shape[i + shift]
          } in ${nameOf(widest)} ${shapeText(widest.shape)}`,
        );
      }
    });
    return broadcast(a, widest.shape, a.shape.map((_, i) => i + shift));
  });
};

/** A scalar operator on tensors; numbers and shorter shapes repeat along leading axes. */
export const map = <S extends Shape>(
  op: Op,
  ...args: readonly (Term<S> | Term | number)[]
): Term<S, "f32"> => {
  if (!Object.hasOwn(OPS, op)) {
    throw new ValueError("map", `${op} is not one of ${Object.keys(OPS).join(", ")}`);
  }
  const { arity } = OPS[op];
  if (args.length !== arity) {
    throw new ValueError(op, `takes ${arity} operands, got ${args.length}`);
  }
  const terms = aligned(op, args);
  return intern("map", { op, args: terms }, terms[0].shape, "f32") as Term<S, "f32">;
};

/** The value another element type stores: half to even, saturating at its range. */
export const cast = <S extends Shape, D extends DType>(arg: Term<S>, dtype: D): Term<S, D> => {
  if (arg.dtype === dtype) return arg as Term<S> as Term<S, D>;
  checkDType("cast", dtype);
  return intern("cast", { args: [arg] }, arg.shape, dtype) as Term<S, D>;
};

/** The same values in row-major order. */
export const reshape = <const S extends Shape>(arg: Term, shape: S): Term<S, DType> => {
  checkDims("reshape", shape);
  regroups(arg.shape, shape);
  const same = shape.length === arg.shape.length && shape.every((d, i) => d === arg.shape[i]);
  if (same) return arg as Term<S, DType>;
  if (arg.tag === "reshape") return reshape(arg.args[0], shape);
  if (arg.tag === "constant") return constant(arg.value, shape);
  return intern("reshape", { args: [arg] }, shape, arg.dtype) as Term<S, DType>;
};

/** Axis i of the result is axis `axes[i]` of the argument. */
export const permute = <S extends Shape, D extends DType, const P extends readonly number[]>(
  arg: Term<S, D>,
  axes: P,
): Term<Permuted<S, P>, D> => {
  const op = `permute ${shapeText(arg.shape)}`;
  if ([...axes].sort((a, b) => a - b).some((a, i) => a !== i) || axes.length !== arg.shape.length) {
    throw new ShapeError(op, `${axes.join(" ")} is no order of ${arg.shape.length} axes`);
  }
  const done = (t: Term): Term<Permuted<S, P>, D> => t as Term<Permuted<S, P>, D>;
  if (axes.every((a, i) => a === i)) return done(arg);
  if (arg.tag === "permute") return done(permute(arg.args[0], axes.map((a) => arg.axes[a])));
  const shape = axes.map((a) => arg.shape[a]);
  if (arg.tag === "constant") return done(constant(arg.value, shape));
  return done(intern("permute", { args: [arg], axes }, shape, arg.dtype));
};

/** The number of an axis; negative counts from the end. */
export const axisOf = (op: string, shape: Shape, axis: number): number => {
  const at = axis < 0 ? axis + shape.length : axis;
  if (shape[at] === undefined) {
    throw new ShapeError(op, `axis ${axis} is not in ${shapeText(shape)}`);
  }
  return at;
};

/**
 * Rows of `table` (its first axis) chosen by `index` (a u32 or packed tensor). With `batch` the first axes of
 * both are the same, and rows are chosen for each place of them: `[h, n, d]` by `[h, m]` gives `[h, m, d]`.
 */
export const gather = (table: Term, index: Term, batch = 0): Term => {
  if (table.shape.length <= batch) {
    throw new ShapeError("gather", "the table has no axis to choose from");
  }
  const apart = table.shape.slice(0, batch).findIndex((d, i) => d !== index.shape[i]);
  if (apart >= 0) {
    throw new ShapeError(
      "gather",
      `axis ${apart} is ${table.shape[apart]} in ${nameOf(table)} ${shapeText(table.shape)} and ${
        index.shape[apart]
      } in ${nameOf(index)} ${shapeText(index.shape)}`,
    );
  }
  const shape = [...index.shape, ...table.shape.slice(batch + 1)];
  const args = [table, index] as const;
  return intern("gather", batch === 0 ? { args } : { args, batch }, shape, table.dtype);
};

const checkedLabels = (
  op: string,
  labels: Labels,
  args: readonly Term[],
): { labels: Labels; shape: Shape } => {
  const dims = labelDims(op, labels, args.map((a) => a.shape), args.map(nameOf));
  return { labels: canonical(labels), shape: labels.out.map((l) => dims.get(l)!) };
};

/** A contraction by labels already parsed; used by rules. */
export const contractBy = (labels: Labels, a: Term, b: Term): Term => {
  const checked = checkedLabels("contract", labels, [a, b]);
  return intern("contract", { args: [a, b], labels: checked.labels }, checked.shape, "f32");
};

/**
 * Sum of products over the labels that are not in the result.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { contract, input } from "kvfold";
 * const k = input("k", ["h", "t", 64], "f32");
 * const q = input("q", ["h", 64], "f32");
 * const scores = contract("h t d, h d -> h t", k, q); // Term<["h", "t"], "f32">
 * ok(scores.shape.join() === "h,t");
 * ```
 */
export const contract = <const N extends string, A extends Shape, B extends Shape>(
  notation: N,
  a: Contracted<N, A, B> extends Shape ? Term<A> : Contracted<N, A, B>,
  b: Term<B>,
): Contracted<N, A, B> extends infer R ? R extends Shape ? Term<R, "f32"> : never : never => {
  const labels = parseNotation(notation);
  const args = [a as unknown as Term, b as Term];
  const checked = checkedLabels(`contract "${notation}"`, labels, args);
  return intern(
    "contract",
    { args: args as unknown as [Term, Term], labels: checked.labels },
    checked.shape,
    "f32",
  ) as never;
};

/** What each monoid reads out, and how many operands it takes. */
export const PROJECTIONS: Readonly<Record<MonoidName, readonly string[]>> = {
  sum: ["sum"],
  max: ["max"],
  extent: ["lo", "hi"],
  gram: ["gram"],
  softmax: ["mean"],
};

/** A fold by labels already parsed; used by rules. */
export const foldBy = (
  monoid: MonoidName,
  project: string,
  labels: Labels,
  args: readonly Term[],
): Term => {
  const op = `fold ${monoid}`;
  if (!PROJECTIONS[monoid].includes(project)) {
    throw new ValueError(op, `has no ${project}, it has ${PROJECTIONS[monoid].join(", ")}`);
  }
  if (monoid === "gram") {
    const dims = labelDims(
      op,
      { args: labels.args, out: [] },
      args.map((a) => a.shape),
      args.map(nameOf),
    );
    const shape = labels.out.map((l) => dims.get(l.replace(/'$/, ""))!);
    return intern("fold", { monoid, project, args, labels }, shape, "f32");
  }
  const checked = checkedLabels(op, labels, args);
  return intern("fold", { monoid, project, args, labels: checked.labels }, checked.shape, "f32");
};

const axisLabels = (n: number): string[] => Array.from({ length: n }, (_, i) => `x${i}`);

/** A fold of one tensor over some of its axes (negative counts from the end). */
export const foldOver = (
  monoid: "sum" | "max" | "extent",
  project: string,
  arg: Term,
  axes: readonly number[],
): Term => {
  const gone = axes.map((a) => axisOf(`fold ${monoid}`, arg.shape, a));
  const labels = axisLabels(arg.shape.length);
  return foldBy(monoid, project, {
    args: [labels],
    out: labels.filter((_, i) => !gone.includes(i)),
  }, [arg]);
};

/** Gram matrix of the last axis, summed over `axes`: Σ x xᵀ. */
export const gram = (arg: Term, axes: readonly number[]): Term => {
  const n = arg.shape.length;
  const gone = axes.map((a) => axisOf("gram", arg.shape, a));
  if (gone.includes(n - 1)) {
    throw new ShapeError("gram", "the last axis is the matrix, it cannot be summed");
  }
  const labels = axisLabels(n);
  const kept = labels.filter((_, i) => !gone.includes(i));
  return foldBy("gram", "gram", { args: [labels], out: [...kept, `${labels[n - 1]}'`] }, [arg]);
};

/**
 * Softmax-weighted sum over the labels that are not in the result, as
 * `softmaxFold("h t, h t e -> h e", scores, values)`. Masked or empty gives zeros.
 */
export const softmaxFold = (notation: string, scores: Term, values: Term): Term =>
  foldBy("softmax", "mean", parseNotation(notation), [scores, values]);
