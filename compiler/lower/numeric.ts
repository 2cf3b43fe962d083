/**
 * Number formats and scalar operators in the loop language, for one lane or four. The same bit
 * manipulation on every target, so that codes and scales agree between devices.
 * @module
 */
import {
  type DType,
  DTYPES,
  type Float8,
  FLOATS,
  isFloat,
  type StoredFloat,
} from "../../dsl/core/dtype.ts";
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

/** Bits of the fraction of an f32. */
const FRACTION = 23;

/** The nearest value of a stored float as an f32: half to even, saturating at the ends of its range. */
const roundFloat = (dtype: StoredFloat, x: Expr): Expr => {
  const { min, max } = DTYPES[dtype];
  const { fraction, least } = FLOATS[dtype];
  const clamped = bin("max", bin("min", x, numbers(x, max)), numbers(x, min));
  const bits = un("asU32", clamped);
  const gone = FRACTION - fraction;
  // Halfway between powers of two is the next one, 2 being even.
  const odd = fraction === 0 ? words(x, 1) : bin("and", shift("shr", bits, gone), words(x, 1));
  const up = bin("add", bin("add", bits, words(x, 2 ** (gone - 1) - 1)), odd);
  const normal = un("asF32", bin("and", up, words(x, -(2 ** gone) >>> 0)));
  if (min > 0) return normal;
  const step = 2 ** (least - fraction);
  const small = bin(
    "mul",
    un("rint", bin("mul", clamped, numbers(x, 1 / step))),
    numbers(x, step),
  );
  return select(bin("lt", un("abs", clamped), numbers(x, 2 ** least)), small, normal);
};

/** The f32 behind the byte of a float of 8 bits. */
export const fromFloat8 = (dtype: Float8, byte: Expr): Expr => {
  const { fraction, least } = FLOATS[dtype];
  const first = words(byte, (least + 126) * 2 ** FRACTION);
  const moved = (e: Expr): Expr => bin("add", shift("shl", e, FRACTION - fraction), first);
  if (DTYPES[dtype].min > 0) return un("asF32", moved(byte));
  const magnitude = bin("and", byte, words(byte, 0x7f));
  const small = un(
    "asU32",
    bin("mul", un("toF32", magnitude), numbers(byte, 2 ** (least - fraction))),
  );
  const isSmall = bin("eq", shift("shr", magnitude, fraction), words(byte, 0));
  const sign = shift("shl", bin("and", byte, words(byte, 0x80)), 24);
  return un("asF32", bin("or", select(isSmall, small, moved(magnitude)), sign));
};

/**
 * The f32 behind bytes that are the highest of their words, where a device keeps subnormal numbers: sign and
 * magnitude are moved into place, and a power of two makes up for the bias.
 */
export const fromHighBytes = (dtype: Float8, words4: Expr): Expr => {
  const { fraction, least } = FLOATS[dtype];
  const by = fraction + 1;
  const magnitude = bin("and", shift("shr", words4, by), words(words4, 0x7f000000 >>> by));
  const sign = bin("and", words4, words(words4, 0x80000000));
  return bin("mul", un("asF32", bin("or", magnitude, sign)), numbers(words4, 2 ** (least + 126)));
};

/** The byte of an f32 that is exactly a float of 8 bits, as a number. */
export const float8Byte = (dtype: Float8, x: Expr): Expr => {
  const { fraction, least } = FLOATS[dtype];
  const bits = un("asU32", x);
  const magnitude = bin("and", bits, words(x, 0x7fffffff));
  const first = words(x, (least + 126) * 2 ** FRACTION);
  const normal = shift("shr", bin("sub", magnitude, first), FRACTION - fraction);
  if (DTYPES[dtype].min > 0) return un("toF32", normal);
  const small = un("toU32", bin("mul", un("abs", x), numbers(x, 2 ** (fraction - least))));
  const sign = shift("shr", bin("and", bits, words(x, 0x80000000)), 24);
  const size = select(bin("lt", un("abs", x), numbers(x, 2 ** least)), small, normal);
  return un("toF32", bin("or", size, sign));
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
  if (isFloat(dtype)) return roundFloat(dtype, x);
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
  // The exponent alone: no fraction, no sign. Of a subnormal number nothing is left.
  binade: ([a]) => un("asF32", bin("and", un("asU32", a), words(a, 0x7f800000))),
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
