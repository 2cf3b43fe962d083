/**
 * What a device's arithmetic promises, and what each scalar operator does to an error under it.
 * All bounds are on the distance to the f64 value of `dsl/read/eval.ts`, which rounds as well:
 * {@link against} adds that share, so that nothing here has to speak of exact reals.
 * @module
 */
import { binadeOf, castTo, type DType, DTYPES, isFixedPoint, rint } from "../core/dtype.ts";
import { type Op, OPS } from "../core/ops.ts";

/** The promises of a device's arithmetic. Relative errors are of the result. */
export interface Machine {
  /** Unit roundoff of +, − and ×. */
  readonly u: number;
  /** Below this an operation, or a read, may give 0. */
  readonly tiny: number;
  /** Beyond this nothing is promised. */
  readonly huge: number;
  /** Relative error of a quotient. */
  readonly div: number;
  /** Relative error of a square root. */
  readonly sqrt: number;
  /** Relative error of e^x, at most affine in |x|. */
  readonly exp: (x: number) => number;
  /** How often at most a weight of a softmax is scaled again as parts are merged. */
  readonly merges: number;
}

/**
 * f32 as WGSL promises it ("Accuracy of concrete floating point expressions"): division 2.5 ULP,
 * sqrt by way of 1 / inverseSqrt (2 ULP, then 2.5), exp 3 + 2|x| ULP. An ULP is at most 2u of the
 * value.
 */
export const F32: Machine = {
  u: 2 ** -24,
  tiny: 2 ** -126,
  huge: (2 - 2 ** -23) * 2 ** 127,
  div: 5 * 2 ** -24,
  sqrt: 10 * 2 ** -24,
  exp: (x) => (3 + 2 * Math.abs(x)) * 2 ** -23,
  merges: 16,
};

/** f64 in any order of summation; library functions within two ULP. */
export const F64: Machine = {
  u: 2 ** -53,
  tiny: 2 ** -1022,
  huge: Number.MAX_VALUE,
  div: 2 ** -53,
  sqrt: 2 ** -53,
  exp: () => 2 ** -51,
  // Token by token; sizes stay below this.
  merges: 2 ** 24,
};

/**
 * A machine whose errors include those of the f64 evaluation it is compared with, and (2^-20 of u)
 * those of computing the bound itself in f64.
 */
export const against = (m: Machine): Machine => ({
  u: m.u * (1 + 2 ** -20) + 2 ** -52,
  tiny: m.tiny,
  huge: m.huge,
  div: m.div + 2 ** -52,
  sqrt: m.sqrt + 2 ** -52,
  exp: (x) => m.exp(x) + 2 ** -51,
  merges: m.merges,
});

/** Growth of k roundings: k·u / (1 − k·u). */
export const gamma = (m: Machine, k: number): number =>
  k * m.u < 1 ? k * m.u / (1 - k * m.u) : Infinity;

/**
 * An error that also covers a flush to zero, whether by the operation or by the next read, and that
 * is Infinity where the device may overflow or the value is not a number.
 */
export const settle = (m: Machine, value: number, error: number): number => {
  const a = Math.abs(value);
  if (!(a + error <= m.huge)) return Infinity;
  return a + error > 0 && a - error < m.tiny ? error + m.tiny : error;
};

/** Both ends of [x − e, x + e], a little outside so that f64 cannot round them inward. */
const ends = (x: number, e: number): number[] => {
  const wide = e === 0 ? 0 : e + 2 ** -51 * (Math.abs(x) + e);
  return [x - wide, x + wide];
};

/** Largest step of an ascending staircase within [x − e, x + e]. */
const staircase = (f: (x: number) => number, x: number, e: number): number =>
  e === 0
    ? 0
    : e === Infinity
    ? Infinity
    : Math.max(...ends(x, e).map((y) => Math.abs(f(y) - f(x))));

/** The largest f32 below 2^32: devices differ in what they store for more. */
const TOP_U32 = 4294967040;

/** Error of a cast: the stored values at both ends. A fixed-point number is half a step off, or out of range. */
export const castError = (m: Machine, dtype: DType, x: number, e: number): number => {
  if (dtype === "f32") return e;
  if (isFixedPoint(dtype)) return e + Math.max(0.5, Math.abs(x) + e - DTYPES[dtype].max);
  const top = dtype === "u32" && x + e > TOP_U32 ? 256 : 0;
  return settle(m, castTo(dtype, x), staircase((y) => castTo(dtype, y), x, e) + top);
};

/** Error of reading a stored value as a float: only a u32 can hold more than a float does. */
export const readError = (m: Machine, dtype: DType, x: number, e: number): number =>
  dtype === "u32" && x + e > 1 / m.u ? e + m.u * (x + e) : e;

/** Do [a − ea, a + ea] and [b − eb, b + eb] certainly not meet? */
const apart = (a: number, ea: number, b: number, eb: number): boolean =>
  Math.abs(a - b) > ea + eb + (ea + eb === 0 ? 0 : 2 ** -50 * (Math.abs(a) + Math.abs(b)));

const either = (a: number, ea: number, b: number, eb: number, aWins: boolean): number =>
  apart(a, ea, b, eb) ? (aWins ? ea : eb) : Math.max(ea, eb);

/**
 * Error of e^x. Where the f64 value itself underflows, the device's value bounds the distance.
 */
const expError = (m: Machine, v: number, x: number, e: number): number => {
  const r = m.exp(Math.abs(x) + e);
  return v < 1e-300
    ? Math.exp(x + e) * (1 + r) + m.tiny
    : v * (Math.expm1(e) + r * Math.exp(e)) + m.tiny;
};

/**
 * Error of √x for x ± e. `sure` says that the device's operand cannot be negative (a sum of squares):
 * otherwise an interval that reaches below 0 may give NaN.
 */
const sqrtError = (m: Machine, v: number, x: number, e: number, sure: boolean): number => {
  if (!(x >= 0)) return Infinity;
  if (x - e <= 0) return e === 0 ? 0 : sure ? Math.sqrt(e) * (1 + m.sqrt) + m.sqrt * v : Infinity;
  const moved = e / (v + Math.sqrt(x - e));
  return moved + m.sqrt * (v + moved);
};

const divError = (
  m: Machine,
  v: number,
  [, b]: readonly number[],
  [ea, eb]: readonly number[],
): number => {
  if (b === 0) return eb === 0 ? 0 : Infinity;
  const least = Math.abs(b) - eb;
  // WGSL promises nothing for a denominator beyond 2^126.
  if (!(least > 0) || Math.abs(b) + eb > m.huge / 4) return Infinity;
  const moved = (ea + Math.abs(v) * eb) / least;
  return moved + m.div * (Math.abs(v) + moved);
};

const sumError = (m: Machine, v: number, [ea, eb]: readonly number[]): number =>
  ea + eb + m.u * (Math.abs(v) + ea + eb);

const selectError = (
  v: number,
  [c, a, b]: readonly number[],
  [ec, ea, eb]: readonly number[],
): number =>
  ec === 0 || Math.abs(c) > ec
    ? (c !== 0 ? ea : eb)
    : Math.max(Math.abs(a - v) + ea, Math.abs(b - v) + eb);

/** What an operator's entry is given: value, operands, their errors, and whether operand 0 is surely ≥ 0. */
type Rule = (
  m: Machine,
  v: number,
  x: readonly number[],
  e: readonly number[],
  sure: boolean,
) => number;

/** One entry an operator. */
const OP_ERRORS: Readonly<Record<Op, Rule>> = {
  add: (m, v, _x, e) => sumError(m, v, e),
  sub: (m, v, _x, e) => sumError(m, v, e),
  mul: (m, v, [a, b], [ea, eb]) => {
    const moved = Math.abs(a) * eb + Math.abs(b) * ea + ea * eb;
    return moved + m.u * (Math.abs(v) + moved);
  },
  div: (m, v, x, e) => divError(m, v, x, e),
  max: (_m, _v, [a, b], [ea, eb]) => either(a, ea, b, eb, a > b),
  min: (_m, _v, [a, b], [ea, eb]) => either(a, ea, b, eb, a < b),
  less: (_m, _v, [a, b], [ea, eb]) => ea + eb === 0 || apart(a, ea, b, eb) ? 0 : 1,
  hadamard: (_m, _v, _x, [ea, eb]) => ea + eb === 0 ? 0 : 2,
  neg: (_m, _v, _x, [e]) => e,
  abs: (_m, _v, _x, [e]) => e,
  exp: (m, v, [x], [e]) => expError(m, v, x, e),
  sqrt: (m, v, [x], [e], sure) => sqrtError(m, v, x, e, sure),
  rint: (_m, _v, [x], [e]) => staircase(rint, x, e),
  binade: (_m, v, [x], [e]) =>
    Math.max(
      staircase(binadeOf, Math.abs(x), e),
      // A number that may lie on either side of 0.
      e > Math.abs(x) ? v : 0,
    ),
  select: (_m, v, x, e) => selectError(v, x, e),
};

/** Error of a scalar operator at operands x with errors e. */
export const opError = (
  m: Machine,
  op: Op,
  x: readonly number[],
  e: readonly number[],
  sure: boolean,
): number => {
  const v = (OPS[op].apply as (...xs: number[]) => number)(...x);
  return settle(m, v, OP_ERRORS[op](m, v, x, e, sure));
};
