/**
 * The meaning of a term: evaluation in f64, one plain loop a node kind. Every device is held to it.
 * @module
 */
import { castTo } from "../core/dtype.ts";
import { ShapeError } from "../core/errors.ts";
import * as M from "../core/monoid.ts";
import { OPS } from "../core/ops.ts";
import { sizeOf, type Sizes, stridesOf } from "../core/shape.ts";
import { argsOf, type Labels, read, type Reading, type Term, topological } from "../core/term.ts";
import { feedback } from "./feedback.ts";
import { cholesky, eigh, type Matrix, qr, svd } from "./linalg.ts";

/** A tensor of numbers with known sizes, row-major. */
export interface Value {
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** Values. */
  readonly data: Float64Array;
}

/** What evaluation knows: sizes of named dims and the values given for inputs. */
export interface Env {
  /** Sizes of named dims. */
  readonly sizes: Sizes;
  /** Values of inputs by name. */
  readonly inputs: Readonly<Record<string, ArrayLike<number>>>;
}

type Args = readonly Value[];

const shapeFor = (term: Pick<Term, "shape">, env: Env): number[] =>
  term.shape.map((d) => sizeOf(d, env.sizes));
const countFor = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Fills a tensor from the index of each element. */
const fill = (shape: readonly number[], at: (index: readonly number[]) => number): Value => {
  const data = new Float64Array(countFor(shape));
  const index = shape.map(() => 0);
  for (let i = 0; i < data.length; i++) {
    data[i] = at(index);
    for (let k = shape.length - 1; k >= 0 && ++index[k] === shape[k]; k--) index[k] = 0;
  }
  return { shape, data };
};

/** Place of an element. */
export const offset = (strides: readonly number[], index: readonly number[]): number => {
  let at = 0;
  for (let i = 0; i < index.length; i++) at += index[i] * strides[i];
  return at;
};

/** A box of values read with strides of its own: element [i, j, …] is `data[base + i·s₀ + j·s₁ + …]`. */
const strided = (
  data: Float64Array,
  shape: readonly number[],
  strides: readonly number[],
  base = 0,
): Value => {
  const out = new Float64Array(countFor(shape));
  const index = shape.map(() => 0);
  let at = base;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[at];
    for (let k = shape.length - 1; k >= 0; k--) {
      at += strides[k];
      if (++index[k] < shape[k]) break;
      at -= strides[k] * shape[k];
      index[k] = 0;
    }
  }
  return { shape, data: out };
};

/** A scalar operator on operands of one shape. */
const mapped = (apply: (...xs: number[]) => number, args: Args): Float64Array => {
  const [x, y, z] = args.map((a) => a.data);
  const out = new Float64Array(x.length);
  if (args.length === 1) { for (let i = 0; i < out.length; i++) out[i] = apply(x[i]); }
  else if (args.length === 2) { for (let i = 0; i < out.length; i++) out[i] = apply(x[i], y[i]); }
  else for (let i = 0; i < out.length; i++) out[i] = apply(x[i], y[i], z[i]);
  return out;
};

/** Strides of an operand for every label in `order` (0 where it lacks the label). */
export const labelStrides = (
  labels: readonly string[],
  value: Value,
  order: readonly string[],
): number[] => {
  const strides = stridesOf(value.shape);
  return order.map((l) => labels.includes(l) ? strides[labels.indexOf(l)] : 0);
};

/** Size of every label. */
export const labelSizes = (labels: Labels, args: Args): Map<string, number> =>
  new Map(
    labels.args.flatMap((axis, i) => axis.map((l, k): [string, number] => [l, args[i].shape[k]])),
  );

/** Runs `visit` for every index of a box. */
export const each = (sizes: readonly number[], visit: (index: readonly number[]) => void): void => {
  const index = sizes.map(() => 0);
  for (let n = countFor(sizes); n > 0; n--) {
    visit(index);
    for (let k = sizes.length - 1; k >= 0 && ++index[k] === sizes[k]; k--) index[k] = 0;
  }
};

/** Batches of matrices in, one projection out. */
const matrices = (
  args: Args,
  shape: readonly number[],
  run: (...matrices: Matrix[]) => Float64Array,
): Value => {
  const batch = countFor(args[0].shape.slice(0, -2));
  const parts = Array.from({ length: batch }, (_, i) =>
    run(...args.map((value) => {
      const [rows, cols] = value.shape.slice(-2);
      return { rows, cols, data: value.data.subarray(i * rows * cols, (i + 1) * rows * cols) };
    })));
  const data = new Float64Array(countFor(shape));
  parts.forEach((p, i) => data.set(p, i * (data.length / parts.length)));
  return { shape, data };
};

/** One entry a node kind. */
const EVAL: Reading<[Env, Args], Value> = {
  input: (t, env) => {
    const shape = shapeFor(t, env);
    const given = env.inputs[t.name];
    if (given === undefined) throw new ShapeError(`input "${t.name}"`, "no value was given");
    if (given.length !== countFor(shape)) {
      throw new ShapeError(
        `input "${t.name}"`,
        `shape ${JSON.stringify(shape)} holds ${countFor(shape)} values, got ${given.length}`,
      );
    }
    return { shape, data: Float64Array.from(given, (x) => castTo(t.dtype, x)) };
  },
  constant: (t, env) => fill(shapeFor(t, env), () => t.value),
  table: (t) => ({ shape: [t.values.length], data: Float64Array.from(t.values) }),
  iota: (t, env) => {
    const start = sizeOf(t.start, env.sizes);
    return fill(shapeFor(t, env), (i) => start + i[t.axis]);
  },
  map: (t, _env, args) => ({ shape: args[0].shape, data: mapped(OPS[t.op].apply, args) }),
  cast: (t, _env, [a]) => ({ shape: a.shape, data: a.data.map((x) => castTo(t.dtype, x)) }),
  reshape: (t, env, [a]) => ({ shape: shapeFor(t, env), data: a.data }),
  permute: (t, env, [a]) => {
    const strides = stridesOf(a.shape);
    return strided(a.data, shapeFor(t, env), t.axes.map((k) => strides[k]));
  },
  broadcast: (t, env, [a]) => {
    const [shape, strides] = [shapeFor(t, env), stridesOf(a.shape)];
    const spread = shape.map((_, i) => t.axes.includes(i) ? strides[t.axes.indexOf(i)] : 0);
    return strided(a.data, shape, spread);
  },
  slice: (t, env, [a]) => {
    const strides = stridesOf(a.shape);
    return strided(a.data, shapeFor(t, env), strides, sizeOf(t.start, env.sizes) * strides[t.axis]);
  },
  concat: (t, env, args) => {
    const strides = args.map((a) => stridesOf(a.shape));
    return fill(shapeFor(t, env), (i) => {
      let [k, at] = [0, i[t.axis]];
      while (at >= args[k].shape[t.axis]) at -= args[k++].shape[t.axis];
      return args[k].data[offset(strides[k], i) + (at - i[t.axis]) * strides[k][t.axis]];
    });
  },
  gather: (t, env, [table, index]) => {
    const batch = t.batch ?? 0;
    const [rows, row] = [table.shape[batch], countFor(table.shape.slice(batch + 1))];
    const each = countFor(index.shape.slice(batch));
    const data = new Float64Array(index.data.length * row);
    index.data.forEach((at, i) => {
      if (!(at < rows)) {
        throw new ShapeError(
          "gather",
          `index ${at} at place ${i} is not within a table of ${rows} rows`,
        );
      }
      const from = Math.floor(i / each) * rows + at;
      data.set(table.data.subarray(from * row, (from + 1) * row), i * row);
    });
    return { shape: shapeFor(t, env), data };
  },
  contract: (t, env, args) => {
    const sizes = labelSizes(t.labels, args);
    const gone = [...sizes.keys()].filter((l) => !t.labels.out.includes(l));
    const order = [...t.labels.out, ...gone];
    const shape = shapeFor(t, env);
    const out = stridesOf(shape);
    const data = new Float64Array(countFor(shape));
    const [sa, sb] = args.map((a, i) => labelStrides(t.labels.args[i], a, order));
    const so = order.map((_, i) => i < out.length ? out[i] : 0);
    const [x, y] = args.map((a) => a.data);
    const dims = order.map((l) => sizes.get(l)!);
    const index = dims.map(() => 0);
    let [i, j, o] = [0, 0, 0];
    for (let n = countFor(dims); n > 0; n--) {
      data[o] += x[i] * y[j];
      for (let k = dims.length - 1; k >= 0; k--) {
        [i, j, o] = [i + sa[k], j + sb[k], o + so[k]];
        if (++index[k] < dims[k]) break;
        [i, j, o] = [i - sa[k] * dims[k], j - sb[k] * dims[k], o - so[k] * dims[k]];
        index[k] = 0;
      }
    }
    return { shape, data };
  },
  fold: (t, env, args) =>
    t.monoid === "gram"
      ? foldGram(t.labels, shapeFor(t, env), args[0])
      : t.monoid === "softmax"
      ? foldSoftmax(t.labels, shapeFor(t, env), args)
      : foldScalar(
        M[t.monoid] as M.FoldMonoid<number, unknown>,
        t.project,
        t.labels,
        shapeFor(t, env),
        args[0],
      ),
  routine: (t, env, args) => {
    const results: Record<string, (...matrices: Matrix[]) => Float64Array> = {
      vectors: (m) => eigh(m).vectors.data,
      values: (m) => eigh(m).values,
      u: (m) => svd(m).u.data,
      s: (m) => svd(m).s,
      v: (m) => svd(m).v.data,
      q: (m) => qr(m).q.data,
      r: (m) => qr(m).r.data,
      lower: (m) => cholesky(m).lower.data,
      inverse: (m) => cholesky(m).inverse.data,
      codes: (...m) => feedback(m).codes,
      errors: (...m) => feedback(m).errors,
    };
    return matrices(args, shapeFor(t, env), results[t.project]);
  },
};

const foldScalar = (
  monoid: M.FoldMonoid<number, unknown>,
  project: string,
  labels: Labels,
  shape: readonly number[],
  arg: Value,
): Value => {
  const axis = labels.args[0];
  const gone = axis.filter((l) => !labels.out.includes(l));
  const inner = gone.map((l) => arg.shape[axis.indexOf(l)]);
  const strides = stridesOf(arg.shape);
  const kept = labels.out.map((l) => strides[axis.indexOf(l)]);
  const lost = gone.map((l) => strides[axis.indexOf(l)]);
  return fill(shape, (i) => {
    const base = offset(kept, i);
    let acc = monoid.empty;
    each(inner, (k) => acc = monoid.concat(acc, monoid.lift(arg.data[base + offset(lost, k)])));
    return monoid.project[project](acc) as number;
  });
};

const foldGram = (labels: Labels, shape: readonly number[], arg: Value): Value => {
  const axis = labels.args[0];
  const n = arg.shape[axis.length - 1];
  const kept = labels.out.slice(0, -2);
  const gone = axis.slice(0, -1).filter((l) => !kept.includes(l));
  const strides = stridesOf(arg.shape);
  const data = new Float64Array(countFor(shape));
  let at = 0;
  each(kept.map((l) => arg.shape[axis.indexOf(l)]), (i) => {
    const base = offset(kept.map((l) => strides[axis.indexOf(l)]), i);
    const lost = gone.map((l) => strides[axis.indexOf(l)]);
    const acc = data.subarray(at, at += n * n);
    each(gone.map((l) => arg.shape[axis.indexOf(l)]), (k) => {
      const x = arg.data.subarray(base + offset(lost, k), base + offset(lost, k) + n);
      for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) acc[a * n + b] += x[a] * x[b];
    });
  });
  return { shape, data };
};

const foldSoftmax = (labels: Labels, shape: readonly number[], [s, v]: Args): Value => {
  const [sl, vl] = labels.args;
  const sizes = labelSizes(labels, [s, v]);
  const channels = labels.out.filter((l) => !sl.includes(l));
  const rows = labels.out.filter((l) => sl.includes(l));
  const gone = [...sizes.keys()].filter((l) => !labels.out.includes(l));
  const count = (ls: readonly string[]): number[] => ls.map((l) => sizes.get(l)!);
  const n = countFor(count(channels));
  const monoid = M.softmax(n);
  const order = [...rows, ...gone];
  const [ss, vs] = [labelStrides(sl, s, order), labelStrides(vl, v, order)];
  const cs = labelStrides(vl, v, channels);
  const result = stridesOf(shape);
  const outRows = rows.map((l) => result[labels.out.indexOf(l)]);
  const outChannels = channels.map((l) => result[labels.out.indexOf(l)]);
  const data = new Float64Array(countFor(shape));
  each(count(rows), (i) => {
    let acc = monoid.empty;
    each(count(gone), (k) => {
      const at = [...i, ...k];
      const score = s.data[offset(ss, at)];
      const value = new Float64Array(n);
      let c = 0;
      each(count(channels), (j) => value[c++] = v.data[offset(vs, at) + offset(cs, j)]);
      acc = monoid.concat(acc, monoid.lift({ score, value }));
    });
    const mean = monoid.project.mean(acc) as Float64Array;
    let c = 0;
    each(count(channels), (j) => data[offset(outRows, i) + offset(outChannels, j)] = mean[c++]);
  });
  return { shape, data };
};

/** The value of one node, given the values of its operands. */
export const step = (term: Term, env: Env, args: readonly Value[]): Value =>
  read(EVAL, term, env, args);

/** Values of several terms at once; shared subterms are evaluated once. */
export const evalAll = (terms: readonly Term[], env: Env): Value[] => {
  const known = new Map<Term, Value>();
  for (const term of topological(terms)) {
    known.set(term, step(term, env, argsOf(term).map((a) => known.get(a)!)));
  }
  return terms.map((t) => known.get(t)!);
};

/**
 * The value of a term in f64.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { evaluate, input, map } from "kvfold";
 * const x = input("x", ["n"], "f32");
 * const y = evaluate(map("add", x, 1), { sizes: { n: 2 }, inputs: { x: [1, 2] } });
 * ok(y.data[1] === 3);
 * ```
 */
export const evaluate = (term: Term, env: Env): Value => evalAll([term], env)[0];
