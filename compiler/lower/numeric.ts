/**
 * Number formats and scalar operators in the loop language, for one lane or four. The same bit
 * manipulation on every target, so that codes and scales agree between devices.
 * @module
 */
import { type DType, DTYPES } from "../../dsl/core/dtype.ts";
import type { Whole } from "../../dsl/bound/whole.ts";
import { type Op, OPS } from "../../dsl/core/ops.ts";
import { bin, type Expr, int, num, select, un, word } from "../ir/expr.ts";

const wide = (e: Expr): boolean => e.type.endsWith("x4");
const words = (like: Expr, value: number): Expr =>
  wide(like) ? un("splat", word(value)) : word(value);
const numbers = (like: Expr, value: number): Expr =>
  wide(like) ? un("splat", num(value)) : num(value);
const shift = (op: "shl" | "shr", a: Expr, by: number): Expr => bin(op, a, word(by));

/** The f32 behind f16 bits. Subnormal halves are exact even where a device flushes subnormal f32. */
export const fromHalf = (h: Expr): Expr => {
  const magnitude = bin("and", h, words(h, 0x7fff));
  const normal = bin("add", shift("shl", magnitude, 13), words(h, 0x38000000));
  const small = un("asU32", bin("mul", un("toF32", magnitude), numbers(h, 2 ** -24)));
  const isSmall = bin("eq", bin("and", h, words(h, 0x7c00)), words(h, 0));
  const sign = shift("shl", bin("and", h, words(h, 0x8000)), 16);
  return un("asF32", bin("or", select(isSmall, small, normal), sign));
};

/** The nearest f16 as an f32: half to even, saturating at ±65504. */
export const roundHalf = (x: Expr): Expr => {
  const limit = DTYPES.f16.max;
  const clamped = bin("max", bin("min", x, numbers(x, limit)), numbers(x, -limit));
  const bits = un("asU32", clamped);
  const odd = bin("and", shift("shr", bits, 13), words(x, 1));
  const up = bin("add", bin("add", bits, words(x, 0xfff)), odd);
  const normal = un("asF32", bin("and", up, words(x, 0xffffe000)));
  const small = bin(
    "mul",
    un("rint", bin("mul", clamped, numbers(x, 2 ** 24))),
    numbers(x, 2 ** -24),
  );
  return select(bin("lt", un("abs", clamped), numbers(x, 2 ** -14)), small, normal);
};

/** The bits of an f32 that is exactly an f16. */
export const halfBits = (x: Expr): Expr => {
  const bits = un("asU32", x);
  const magnitude = bin("and", bits, words(x, 0x7fffffff));
  const normal = shift("shr", bin("sub", magnitude, words(x, 0x38000000)), 13);
  const small = un("toU32", bin("mul", un("abs", x), numbers(x, 2 ** 24)));
  const sign = shift("shr", bin("and", bits, words(x, 0x80000000)), 16);
  return bin("or", select(bin("lt", un("abs", x), numbers(x, 2 ** -14)), small, normal), sign);
};

/** `cast` as a value in f32; what is known to be whole and in range stays as it is. */
export const castValue = (dtype: DType, x: Expr, whole?: Whole): Expr => {
  if (dtype === "f32") return x;
  if (dtype === "f16") return roundHalf(x);
  const { min, max } = DTYPES[dtype];
  const rounded = whole === undefined ? un("rint", x) : x;
  const above = whole !== undefined && whole.lo >= min
    ? rounded
    : bin("max", rounded, numbers(x, min));
  return whole !== undefined && whole.hi <= max ? above : bin("min", above, numbers(x, max));
};

const indexOf = (x: Expr): Expr =>
  x.op === "toF32" && x.args[0].type === "i32" ? x.args[0] : un("toI32", x);

/** Operators that need no more than their operands' values; `select` and `less` are joined in {@link choose}. */
const APPLY: Readonly<Record<Op, (xs: readonly Expr[]) => Expr>> = {
  add: ([a, b]) => bin("add", a, b),
  sub: ([a, b]) => bin("sub", a, b),
  mul: ([a, b]) => bin("mul", a, b),
  div: ([a, b]) =>
    b.op === "const" || (b.op === "splat" && b.args[0].op === "const")
      ? bin("div", a, b)
      : select(bin("eq", b, numbers(b, 0)), numbers(b, 0), bin("div", a, b)),
  max: ([a, b]) => bin("max", a, b),
  min: ([a, b]) => bin("min", a, b),
  less: ([a, b]) => select(bin("lt", a, b), numbers(a, 1), numbers(a, 0)),
  hadamard: ([a, b]) => {
    const [i, j] = [indexOf(a), indexOf(b)];
    if (i.op === "const" && j.op === "const") return num(OPS.hadamard.apply(i.value, j.value));
    const common = bin("and", i, j);
    const odd = bin("and", un("popcount", common), int(1));
    return un("toF32", bin("sub", int(1), bin("mul", odd, int(2))));
  },
  neg: ([a]) => un("neg", a),
  abs: ([a]) => un("abs", a),
  exp: ([a]) => un("exp", a),
  sqrt: ([a]) => un("sqrt", a),
  rint: ([a]) => un("rint", a),
  select: ([c, a, b]) => choose(c, a, b),
};

/** `select` on a number: not 0. A comparison just made is used as it is. */
const choose = (c: Expr, a: Expr, b: Expr): Expr => {
  const one = (e: Expr): boolean =>
    e.op === "const" ? e.value === 1 : e.op === "splat" && one(e.args[0]);
  const zero = (e: Expr): boolean =>
    e.op === "const" ? e.value === 0 : e.op === "splat" && zero(e.args[0]);
  if (c.op === "select" && one(c.args[1]) && zero(c.args[2])) return select(c.args[0], a, b);
  return select(bin("eq", c, numbers(c, 0)), b, a);
};

/** A scalar operator on one lane or four. */
export const applyOp = (op: Op, args: readonly Expr[]): Expr => {
  const spread = args.some(wide) ? args.map((a) => un("splat", a)) : args;
  return APPLY[op](spread);
};

/** Does the operator work on four lanes at once? */
export const hasLanes = (op: Op): boolean => op !== "hadamard";
