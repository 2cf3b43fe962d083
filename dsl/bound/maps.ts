/**
 * Bounds of scalar operators and of casts.
 *
 * ```text
 * a ± b   ea + eb                         e^a   e^a·ea·e^ea  ≥  e^a·(e^ea − 1)
 * a · b   |a|·eb + |b|·ea + ea·eb         √a    min(ea / √a, √ea)
 * a / b   (ea + |a/b|·eb) / (|b| − eb)    max   the larger of both; 0 beyond a constant
 * ```
 * @module
 */
import { constant, map } from "../core/build.ts";
import {
  DTYPES,
  type FloatFormat,
  FLOATS,
  isFixedPoint,
  isFloat,
  isPacked,
} from "../core/dtype.ts";
import type { Term, TermOf } from "../core/term.ts";
import type { Machine } from "../read/machine.ts";
import { widthOf } from "./range.ts";
import { isExact, wholeOf } from "./whole.ts";
import {
  abs,
  type Bounded,
  type Context,
  either,
  type Error,
  exact,
  LEAST,
  made,
  magnitude,
  NO_CLAIM,
  sum,
  times,
  total,
  zero,
} from "./known.ts";

/** Units of roundoff of a quotient, a root and a power on a machine. */
const unitsOf = (m: Machine | undefined, relative: (m: Machine) => number): number =>
  m === undefined ? 0 : Math.ceil(relative(m) / m.u);

/** |x| from where on e^x is no finite number, or 0. */
const EXPONENTS = 104;

/** |a|·eb + |b|·ea + ea·eb with any product. */
export const products = (
  a: Bounded,
  b: Bounded,
  c: Context,
  product: (x: Term, y: Term) => Term,
): Error =>
  sum(
    b.error && product(magnitude(a, c), b.error),
    a.error && product(a.error, magnitude(b, c)),
    a.error && b.error && times(product(a.error, b.error), c.again),
  );

const quotient = (value: Term, a: Bounded, b: Bounded, c: Context): Bounded => {
  const units = unitsOf(c.machine, (m) => m.div);
  const by = total(b, c);
  if (by === undefined) {
    const divided = (x: Term): Term => map("div", x, abs(b.value));
    return {
      value,
      error: a.error && divided(a.error),
      growth: a.growth + units,
      size: () => map("add", divided(a.size()), LEAST),
    };
  }
  // |a/b − â/b̂| ≤ (ea + |a/b|·eb) / (|b| − eb) while the denominator keeps its sign.
  const ea = total(a, c);
  const least = map(
    "sub",
    times(abs(b.value), c.machine === undefined ? 1 : 1 - 2 ** -20),
    times(by, c.again),
  );
  const ratio = c.machine === undefined
    ? abs(value)
    : map("div", sum(abs(a.value), ea && times(ea, 2))!, least);
  const top = sum(ea, map("mul", ratio, by))!;
  const moved = map("select", map("less", 0, least), map("div", top, least), NO_CLAIM);
  return made(value, moved, units, c);
};

const exponential = (value: Term, a: Bounded, c: Context): Bounded => {
  const e = total(a, c);
  const moved = e &&
    (c.machine === undefined
      ? map("mul", value, map("sub", map("exp", e), 1))
      : map("mul", value, map("mul", e, map("exp", times(e, c.again)))));
  return made(value, moved, unitsOf(c.machine, (m) => m.exp(EXPONENTS)), c);
};

const root = (value: Term, a: Bounded, c: Context): Bounded => {
  const e = total(a, c);
  const moved = e && map(
    "min",
    map("select", map("less", 0, a.value), map("div", times(e, c.again), value), NO_CLAIM),
    map("sqrt", e),
  );
  return made(value, moved, unitsOf(c.machine, (m) => m.sqrt), c);
};

/** Where the condition may be the other one, both branches apart. */
const chosen = (value: Term, args: readonly Bounded[], c: Context): Bounded => {
  const [test, x, y] = args;
  const pick = (a: Term, b: Term): Term => map("select", test.value, a, b);
  const growth = Math.max(x.growth, y.growth);
  const size = (): Term => pick(x.size(), y.size());
  const picked = x.error || y.error
    ? pick(x.error ?? zero(value), y.error ?? zero(value))
    : undefined;
  const off = total(test, c);
  if (off === undefined) return { value, error: picked, growth, size };
  const either = sum(total(x, c), total(y, c));
  const apart = sum(abs(map("sub", x.value, y.value)), either && times(either, c.again))!;
  const same = picked ?? zero(value);
  const error = map(
    "select",
    map("less", off, times(abs(test.value), 1 - 2 ** -20)),
    same,
    map("select", map("less", 0, off), apart, same),
  );
  return { value, error, growth: growth + (c.machine === undefined ? 0 : 2), size };
};

/** Of a value that stays between two numbers whatever it is made of: off by no more than they are apart. */
const within = (t: Term, error: Error): Error => {
  const width = error && widthOf(t);
  return width === undefined ? error : map("min", error!, width);
};

/** Against a constant that is further off than the error, the constant comes out whatever the error was. */
const saturated = (
  t: TermOf<"map">,
  value: Term,
  args: readonly Bounded[],
  c: Context,
): Bounded | undefined => {
  const at = t.args.findIndex((a) => a.tag === "constant");
  if (at < 0) return undefined;
  const [other, limit] = [args[1 - at], args[at].value];
  const off = total(other, c);
  if (off === undefined) return exact(value);
  const beyond = t.op === "max" ? map("sub", limit, other.value) : map("sub", other.value, limit);
  const out = map("less", times(off, c.again), times(beyond, 1 - 2 ** -20));
  return { ...exact(value), error: within(t as Term, map("select", out, 0, off)) };
};

/** A sum: magnitudes add up, but for a code and its zero point. */
const sizeOfSum = (t: TermOf<"map">, a: Bounded, b: Bounded): Term => {
  const range = wholeOf(t as Term);
  return range !== undefined && isExact(t as Term)
    ? constant(Math.max(-range.lo, range.hi), t.shape)
    : map("add", a.size(), b.size());
};

/** The bound of a scalar operator. */
export const mapBound = (t: TermOf<"map">, value: Term, c: Context): Bounded => {
  const args = t.args.map(c.of);
  const [a, b] = args;
  const one = c.machine === undefined || isExact(t as Term) ? 0 : 1;
  switch (t.op) {
    case "add":
    case "sub":
      return {
        value,
        error: sum(a.error, b.error),
        growth: Math.max(a.growth, b.growth) + one,
        size: () => sizeOfSum(t, a, b),
      };
    case "neg":
    case "abs":
      return { ...a, value };
    case "max":
    case "min":
      return saturated(t, value, args, c) ?? {
        value,
        error: either(a.error, b.error),
        growth: Math.max(a.growth, b.growth),
        size: () => map("max", a.size(), b.size()),
      };
    case "mul":
      return {
        value,
        error: products(a, b, c, (x, y) => map("mul", x, y)),
        growth: a.growth + b.growth + one,
        size: () => {
          const size = map("mul", a.size(), b.size());
          return one === 0 ? size : map("add", size, LEAST);
        },
      };
    case "div":
      return quotient(value, a, b, c);
    case "exp":
      return exponential(value, a, c);
    case "sqrt":
      return root(value, a, c);
    case "rint":
      return { ...exact(value), error: sum(constant(0.5, t.shape), total(a, c)) };
    case "binade": {
      const off = total(a, c);
      if (off === undefined) return exact(value);
      const e = map("add", times(off, c.again), map("mul", abs(a.value), 2 ** -20));
      const [below, above] = (["sub", "add"] as const).map((op) =>
        map("binade", map("max", map(op, abs(a.value), e), 0))
      );
      return { ...exact(value), error: map("sub", above, below) };
    }
    case "select":
      return chosen(value, args, c);
    case "less":
    case "hadamard": {
      const off = sum(...args.map((x) => total(x, c)));
      if (off === undefined) return exact(value);
      const error = t.op === "hadamard" ? constant(2, t.shape) : map(
        "select",
        map("less", times(off, c.again), times(abs(map("sub", a.value, b.value)), 1 - 2 ** -20)),
        0,
        1,
      );
      return { ...exact(value), error };
    }
  }
};

/** Half a step from the stored value: a share of it by the bits of the fraction, and the least below the normal range. */
const halfStep = (value: Term, { fraction, least }: FloatFormat): Term =>
  map(
    "max",
    map("mul", abs(value), 2 ** -(fraction + 1) * (1 + 2 ** -10)),
    2 ** (least - fraction - 1),
  );

/** The bound of a cast. */
export const castBound = (t: TermOf<"cast">, value: Term, c: Context): Bounded => {
  const [arg] = t.args;
  const a = c.of(arg);
  if (t.dtype === "f32") return { ...a, value };
  // A statistic that codes are computed against counts as it was stored.
  if (c.parameters.has(t as Term)) return exact(value);
  if (isFixedPoint(t.dtype)) {
    if (c.machine === undefined) return { ...a, value };
    return { ...exact(value), error: sum(constant(0.5, t.shape), total(a, c)) };
  }
  if (isFloat(t.dtype)) {
    const off = sum(halfStep(value, FLOATS[t.dtype]), total(a, c));
    return { ...exact(value), error: within(t as Term, off) };
  }
  const half = wholeOf(arg) === undefined ? constant(0.5, t.shape) : undefined;
  return {
    ...exact(value),
    error: within(t as Term, sum(half, total(a, c))),
    size: () => isPacked(t.dtype) ? constant(DTYPES[t.dtype].max, t.shape) : abs(value),
  };
};
