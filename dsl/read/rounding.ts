/**
 * Rounding: how far a device may be from the f64 value of every element, by a running error analysis
 * over the same nodes. A comparison of a device with `eval` uses this bound, never a fixed tolerance.
 *
 * Sums may be taken in any order and split into parts, products and sums may be fused, a softmax may
 * rescale at every token. An error of Infinity is no claim: overflow, a denominator that may be 0, a
 * routine (whose factors are held to invariants). The bound is of the term that runs: a rule that
 * rewrites a term is bounded on both sides.
 * @module
 */
import { contractBy } from "../core/build.ts";
import { MASKED } from "../core/monoid.ts";
import { DTYPES } from "../core/dtype.ts";
import { isExact } from "../bound/whole.ts";
import { tableOf, widestGap } from "../core/gaps.ts";
import { gramLabels } from "../core/shape.ts";
import { argsOf, read, type Reading, type Term, type TermOf, topological } from "../core/term.ts";
import {
  each,
  type Env,
  evalAll,
  labelSizes,
  labelStrides,
  offset,
  step,
  type Value,
} from "./eval.ts";
import { weightError } from "./weights.ts";
import { against, castError, gamma, type Machine, opError, readError, settle } from "./machine.ts";

/** A value in f64 and, for every element, a bound on the distance of the device's. */
export interface Rounded {
  /** Value in f64. */
  readonly value: Value;
  /** Bound on |device − value|, element by element. */
  readonly error: Float64Array;
}

interface Context {
  readonly env: Env;
  readonly machine: Machine;
}

/** What is known of a term while its users are bounded. */
interface Known extends Rounded {
  /** Σ of magnitudes where a device may take a sum apart: |c − 8| as |c| + 8. At least |value|. */
  readonly reach: Float64Array;
}

type Args = readonly Known[];

const like = (value: Value, data: Float64Array): Value => ({ shape: value.shape, data });
const absolute = (value: Value): Value => like(value, value.data.map(Math.abs));
const errorOf = (r: Rounded): Value => like(r.value, r.error);

/** Settles an error at every element. */
const settled = (m: Machine, value: Value, at: (i: number) => number): Float64Array =>
  value.data.map((v, i) => settle(m, v, at(i)));

/** Values stored in another type, as the floats a device computes with. */
const floats = (m: Machine, term: Term, r: Known): Known =>
  term.dtype === "u32"
    ? { ...r, error: r.error.map((e, i) => readError(m, "u32", r.value.data[i], e)) }
    : r;

/** Errors move where the values move. */
const moved = (t: Term, c: Context, _value: Value, args: Args): Float64Array =>
  step(t, c.env, args.map(errorOf)).data;

/** Is a device's value of this term never negative, by construction? (a sum of squares, a norm) */
const notNegative = (t: Term): boolean => {
  switch (t.tag) {
    case "constant":
      return t.value >= 0;
    case "table":
      return t.values.every((x) => x >= 0);
    case "iota":
      return true;
    case "map":
      if (t.op === "abs" || t.op === "exp" || t.op === "sqrt" || t.op === "less") return true;
      if (t.op === "mul" && t.args[0] === t.args[1]) return true;
      if (t.op === "max") return t.args.some(notNegative);
      return (t.op === "add" || t.op === "mul" || t.op === "div") && t.args.every(notNegative);
    case "contract":
      return t.args[0] === t.args[1] && t.labels.args[0].join() === t.labels.args[1].join();
    case "fold":
      return t.monoid !== "gram" && t.monoid !== "softmax" && notNegative(t.args[0]);
    case "reshape":
    case "permute":
    case "broadcast":
    case "slice":
    case "cast":
      return notNegative(t.args[0]);
    default:
      return t.dtype !== "i16" && DTYPES[t.dtype].min >= 0;
  }
};

/** Terms of each sum of a contraction or fold. */
const termsOf = (t: TermOf<"contract"> | TermOf<"fold">, args: Args): number => {
  const sizes = labelSizes(t.labels, args.map((a) => a.value));
  return [...sizes].reduce((n, [l, size]) => t.labels.out.includes(l) ? n : n * size, 1);
};

/**
 * Error of sums of n terms: `moved` from the operands, and roundings of everything that was added up.
 * Partial sums must not overflow; every term and every sum may flush.
 */
const sumErrors = (
  m: Machine,
  value: Value,
  n: number,
  size: (i: number) => number,
  moved: (i: number) => number,
): Float64Array => {
  // One rounding a product, n sums, two more for a split into parts and its merge.
  const growth = gamma(m, n + 3);
  return settled(m, value, (i) => {
    const all = size(i) + moved(i);
    if (!(all * (1 + growth) <= m.huge)) return Infinity;
    return all === 0 ? 0 : moved(i) + growth * all + 2 * n * m.tiny;
  });
};

/** Errors of a contraction of any two operands: Σ|a||b| and Σ(|a|eb + ea|b| + ea·eb). */
const products = (t: TermOf<"contract">, c: Context, value: Value, [a, b]: Args): Float64Array => {
  const [x, y] = [absolute(a.value), absolute(b.value)];
  const wide = like(y, y.data.map((v, i) => v + b.error[i]));
  const size = step(t as Term, c.env, [x, y]).data;
  const left = step(t as Term, c.env, [errorOf(a), wide]).data;
  const right = step(t as Term, c.env, [x, errorOf(b)]).data;
  return sumErrors(c.machine, value, termsOf(t, [a, b]), (i) => size[i], (i) => left[i] + right[i]);
};

/** One entry a node kind: the error of every element. */
const ROUND: Reading<[Context, Value, Args], Float64Array> = {
  input: (_t, c, value) => settled(c.machine, value, () => 0),
  constant: (_t, c, value) => settled(c.machine, value, () => 0),
  table: (_t, c, value) => settled(c.machine, value, () => 0),
  iota: (_t, c, value) => value.data.map((v) => readError(c.machine, "u32", v, 0)),
  map: (t, c, value, args) => {
    const operands = args.map((a, k) => floats(c.machine, t.args[k], a));
    const sure = notNegative(t.args[0]);
    // Sums and products of whole numbers that f32 holds are not rounded.
    if (isExact(t as Term) && operands.every((a) => a.error.every((e) => e === 0))) {
      return new Float64Array(value.data.length);
    }
    return value.data.map((_, i) =>
      opError(
        c.machine,
        t.op,
        operands.map((a) => a.value.data[i]),
        operands.map((a) => a.error[i]),
        sure,
      )
    );
  },
  cast: (t, c, _value, [a]) => {
    const { value, error } = floats(c.machine, t.args[0], a);
    return error.map((e, i) => castError(c.machine, t.dtype, value.data[i], e));
  },
  reshape: moved,
  permute: moved,
  broadcast: moved,
  slice: moved,
  concat: moved,
  gather: (t, c, value, [table, index]) => {
    const out = step(t as Term, c.env, [errorOf(table), index.value]).data;
    const row = index.error.length === 0 ? 1 : value.data.length / index.error.length;
    const values = tableOf(t.args[0]);
    const widest = values === undefined ? Infinity : widestGap(values);
    return out.map((e, i) => {
      const off = index.error[Math.floor(i / row)];
      return off === 0 ? e : e + off * widest;
    });
  },
  contract: (t, c, value, args) =>
    products(t, c, value, args.map((a, k) => floats(c.machine, t.args[k], a))),
  fold: (t, c, value, args) => {
    const operands = args.map((a, k) => floats(c.machine, t.args[k], a));
    return t.monoid === "softmax"
      ? softmaxErrors(t, c, value, operands)
      : t.monoid === "gram"
      ? gramErrors(t, c, value, operands[0])
      : t.monoid === "sum"
      ? foldedSum(t, c, value, operands[0])
      : worst(t, c, value, operands[0]);
  },
  routine: (_t, _c, value) => value.data.map(() => Infinity),
};

const foldedSum = (t: TermOf<"fold">, c: Context, value: Value, a: Known): Float64Array => {
  const size = step(t as Term, c.env, [absolute(a.value)]).data;
  const error = step(t as Term, c.env, [errorOf(a)]).data;
  return sumErrors(c.machine, value, termsOf(t, [a]), (i) => size[i], (i) => error[i]);
};

/** Largest and smallest move by no more than the largest error. */
const worst = (t: TermOf<"fold">, c: Context, value: Value, a: Known): Float64Array => {
  const largest = { ...t, monoid: "max", project: "max" } as Term;
  const error = step(largest, c.env, [errorOf(a)]).data;
  return settled(c.machine, value, (i) => error[i]);
};

/** A Gram matrix is the contraction of a tensor with itself. */
const gramErrors = (t: TermOf<"fold">, c: Context, value: Value, a: Known): Float64Array => {
  const term = contractBy(gramLabels(t.labels), t.args[0], t.args[0]);
  return products(term as TermOf<"contract">, c, value, [a, a]);
};

/** Weights e^(s − m) below e^-1000 are 0 in f64 and below `tiny` on a device. */
const DEAD = 1000;

/**
 * How far, as a factor e^±δ, a device's weights of one row may be off.
 *
 * A device's weight of a token is a product of e^d with d ≤ 0 whose sum is s − m: one e^d where the
 * token enters, and one wherever the running maximum was moved (at most n times). Each has the relative
 * error exp(d) and a rounding u·|d| of d; the product of all has n roundings. m itself cancels in
 * o / l, however wrong it is. Tokens that are masked, or dead in the sense of {@link DEAD}, are left out.
 */
const weightSpread = (
  m: Machine,
  scores: readonly (readonly [number, number])[],
  n: number,
): number => {
  const live = scores.filter(([s, e]) => !(s + e <= MASKED));
  const top = live.reduce((t, [s, e]) => Math.max(t, s - e), -Infinity);
  let worst = 0;
  for (const [s, e] of live) {
    if (s + e < top - DEAD) continue;
    if (!(s - e > MASKED) || !(e < Infinity)) return Infinity;
    const span = Math.max(top - s, 0) + 4 * e;
    const merges = Math.min(n, m.merges);
    const relative = (merges + 1) * m.exp(0) + m.exp(span) + gamma(m, merges + 2);
    if (relative >= 1) return Infinity;
    // A factor 1 ± r lies within e^±(r / (1 − r)).
    worst = Math.max(worst, e + m.u * span + relative / (1 - relative));
  }
  return worst;
};

/**
 * Errors of a softmax-weighted mean Σ p v. Normalized weights are within e^±2δ of p, so
 *
 * ```text
 * |Δ| ≤ (e^2δ − 1) Σ p|v| + e^2δ Σ p·ev + ρ e^2δ Σ p (‖v‖ + ev)
 * ```
 *
 * where ρ covers the sums of o and l (n products, n rescalings, n additions each) and the quotient, and
 * ‖v‖ is the reach of v: Σ p·s·(c − z) may be summed as Σ p·s·c − z Σ p·s.
 * The largest weight is about 1, so what flushes is at most `tiny` times the largest |v|, n² times.
 */
const softmaxErrors = (t: TermOf<"fold">, c: Context, value: Value, [s, v]: Args): Float64Array => {
  const m = c.machine;
  const [scoreLabels] = t.labels.args;
  const n = termsOf(t, [s, v]);
  const sizes = labelSizes(t.labels, [s.value, v.value]);
  const count = (labels: readonly string[]): number[] => labels.map((l) => sizes.get(l)!);
  const gone = scoreLabels.filter((l) => !t.labels.out.includes(l));
  const strides = labelStrides(scoreLabels, s.value, [...t.labels.out, ...gone]);
  const mean = step(t as Term, c.env, [s.value, absolute(v.value)]).data;
  const apart = step(t as Term, c.env, [s.value, like(v.value, v.reach)]).data;
  const carried = step(t as Term, c.env, [s.value, errorOf(v)]).data;
  const largest = v.reach.reduce((a, x, i) => Math.max(a, x + v.error[i]), 0);
  const flushed = (4 * n * n + 8 * n) * m.tiny * (1 + largest);
  const coarse = weightError(t, c.env, n) * (1 + 2 ** -10);
  const rho = 2 * gamma(m, 2 * n + 4) + m.div;
  const rows = new Map<number, number>();
  const out = new Float64Array(value.data.length);
  let at = 0;
  each(count(t.labels.out), (i) => {
    const place = at++;
    const base = offset(strides.slice(0, i.length), i);
    if (!rows.has(base)) {
      const scores: [number, number][] = [];
      each(count(gone), (k) => {
        const where = base + offset(strides.slice(i.length), k);
        scores.push([s.value.data[where], s.error[where]]);
      });
      const hidden = scores.every(([x, e]) => x + e <= MASKED);
      rows.set(base, hidden ? -1 : weightSpread(m, scores, n));
    }
    const delta = rows.get(base)!;
    if (delta < 0) return;
    const e = carried[place];
    const sums = e + rho * (apart[place] + e);
    const bound = Math.expm1(2 * delta) * mean[place] + Math.exp(2 * delta) * sums + flushed +
      coarse;
    out[place] = n * largest > m.huge ? Infinity : settle(m, value.data[place], bound);
  });
  return out;
};

/** Magnitudes of sums and products, taken apart; of everything else, its own. */
const reachOf = (t: Term, env: Env, value: Value, args: Args): Float64Array => {
  const [a, b] = args.map((x) => x.reach);
  switch (t.tag) {
    case "map":
      if (t.op === "add" || t.op === "sub") return a.map((x, i) => x + b[i]);
      if (t.op === "mul") return a.map((x, i) => x * b[i]);
      return t.op === "neg" ? a : absolute(value).data;
    case "reshape":
    case "permute":
    case "broadcast":
    case "slice":
    case "concat":
      return step(t, env, args.map((x) => like(x.value, x.reach))).data;
    default:
      return absolute(value).data;
  }
};

/**
 * Values of several terms in f64 and bounds on the distance of a device's values.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { F32, input, map, rounding } from "kvfold";
 * const x = input("x", [1], "f32");
 * const [y] = rounding([map("mul", x, x)], { sizes: {}, inputs: { x: [3] } }, F32);
 * ok(y.value.data[0] === 9 && y.error[0] < 1e-6);
 * ```
 */
export const rounding = (terms: readonly Term[], env: Env, machine: Machine): Rounded[] => {
  const order = topological(terms);
  const values = evalAll(order, env);
  const context = { env, machine: against(machine) };
  const known = new Map<Term, Known>();
  order.forEach((term, i) => {
    const args = argsOf(term).map((a) => known.get(a)!);
    const value = values[i];
    const error = read(ROUND, term, context, value, args);
    known.set(term, { value, error, reach: reachOf(term, env, value, args) });
  });
  return terms.map((t) => known.get(t)!);
};
