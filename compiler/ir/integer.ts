/**
 * Integer arithmetic that looks at ranges and divisors, so that an index that is taken apart and put
 * together again costs nothing: `(t·64 + d) / 64` is `t` where 0 ≤ d < 64.
 * @module
 */
import { type Bin, type Expr, int, node } from "./node.ts";

const isInt = (e: Expr, value: number): boolean =>
  e.op === "const" && e.type === "i32" && e.value === value;

/** A number known when the text is made. */
export const isConst = (e: Expr): boolean => e.op === "const";

/** Divisors are tracked while they are exact. */
const EXACT = 2 ** 30;
const gcd = (a: number, b: number): number => {
  if (!(a < EXACT && b < EXACT)) return 1;
  return b === 0 ? a : gcd(b, a % b);
};

/** Arithmetic on two known integers. */
export const foldInt = (op: Bin, a: number, b: number): number | undefined => {
  switch (op) {
    case "add":
      return a + b;
    case "sub":
      return a - b;
    case "mul":
      return a * b;
    case "min":
      return Math.min(a, b);
    case "max":
      return Math.max(a, b);
    case "div":
      return b === 0 ? undefined : Math.trunc(a / b);
    case "rem":
      return b === 0 ? undefined : a % b;
    default:
      return undefined;
  }
};

/** Sums split into parts that a division may treat apart. */
const terms = (e: Expr): Expr[] => e.op === "add" ? e.args.flatMap(terms) : [e];

/** x where a = (x / n)·n and b = x % n: an index that was taken apart and put together again. */
const rejoined = (a: Expr, b: Expr): Expr | undefined => {
  if (b.op !== "rem" || a.op !== "mul") return undefined;
  const [x, n] = b.args;
  const [p, q] = a.args;
  const whole = p === n ? q : q === n ? p : undefined;
  return whole?.op === "div" && whole.args[0] === x && whole.args[1] === n ? x : undefined;
};

/** a + b. */
export const addInt = (a: Expr, b: Expr): Expr => {
  if (isConst(a)) return isConst(b) ? int(a.value + b.value) : addInt(b, a);
  if (isConst(b)) {
    if (b.value === 0) return a;
    if (a.op === "add" && isConst(a.args[1])) {
      return addInt(a.args[0], int(a.args[1].value + b.value));
    }
    return sumOf(a, b);
  }
  const x = rejoined(a, b) ?? rejoined(b, a);
  if (x !== undefined) return x;
  // Constants go last, so that a load can carry them as an offset.
  if (a.op === "add" && isConst(a.args[1])) return addInt(addInt(a.args[0], b), a.args[1]);
  if (b.op === "add" && isConst(b.args[1])) return addInt(addInt(a, b.args[0]), b.args[1]);
  return sumOf(a, b);
};

const sumOf = (a: Expr, b: Expr): Expr =>
  node("add", "i32", [a, b], {
    lo: a.lo + b.lo,
    hi: a.hi + b.hi,
    factor: gcd(a.factor, b.factor),
  });

/** a − b; (b + c) − b is c. */
export const subInt = (a: Expr, b: Expr): Expr => {
  if (isConst(b)) return addInt(a, int(-b.value));
  const parts = terms(a);
  const same = parts.indexOf(b);
  if (same >= 0) return parts.filter((_, i) => i !== same).reduce(addInt, int(0));
  return node("sub", "i32", [a, b], { lo: a.lo - b.hi, hi: a.hi - b.lo });
};

/** a · b. */
export const mulInt = (a: Expr, b: Expr): Expr => {
  if (isConst(a) && isConst(b)) return int(a.value * b.value);
  if (isConst(a)) return mulInt(b, a);
  if (isInt(b, 0)) return int(0);
  if (isInt(b, 1)) return a;
  if (isConst(b) && a.op === "mul" && isConst(a.args[1])) {
    return mulInt(a.args[0], int(a.args[1].value * b.value));
  }
  if (isConst(b) && a.op === "add") return addInt(mulInt(a.args[0], b), mulInt(a.args[1], b));
  const ends = a.lo >= 0 && b.lo >= 0 ? { lo: a.lo * b.lo, hi: a.hi * b.hi } : {};
  return node("mul", "i32", [a, b], {
    ...ends,
    factor: a.factor * b.factor < EXACT ? a.factor * b.factor : 1,
  });
};

/** Splits a + b by a divisor: the part that it divides, and a rest within [0, divisor). */
const splitBy = (e: Expr, n: number): { whole: Expr; rest: Expr } | undefined => {
  // A known part is split itself: by 32, 56 is 32 and 24.
  const parts = terms(e).flatMap((p) =>
    isConst(p) && p.value > n ? [int(p.value - p.value % n), int(p.value % n)] : [p]
  );
  const whole = parts.filter((p) => p.factor % n === 0 && p.factor !== 0 || isInt(p, 0));
  const rest = parts.filter((p) => !whole.includes(p)).reduce(addInt, int(0));
  return rest.lo >= 0 && rest.hi < n ? { whole: whole.reduce(addInt, int(0)), rest } : undefined;
};

/** Exact quotient of an expression that n divides, if it can be written without a division. */
const quotient = (e: Expr, n: number): Expr | undefined => {
  if (isConst(e)) return int(e.value / n);
  if (e.op === "add") {
    const [a, b] = e.args.map((x) => quotient(x, n));
    return a && b ? addInt(a, b) : undefined;
  }
  if (e.op === "mul" && isConst(e.args[1]) && e.args[1].value % n === 0) {
    return mulInt(e.args[0], int(e.args[1].value / n));
  }
  if (e.op === "mul" && e.args[0].factor % n === 0) {
    const q = quotient(e.args[0], n);
    return q && mulInt(q, e.args[1]);
  }
  return undefined;
};

/** n · e, exactly, where e = x / n for a symbolic divisor: (t·N + r) / N = t when 0 ≤ r < N is known by `within`. */
/** a / b of numbers that are not negative. */
export const divInt = (a: Expr, b: Expr): Expr => {
  if (isInt(b, 1) || isInt(a, 0)) return a;
  if (isConst(b)) {
    const split = splitBy(a, b.value);
    if (split !== undefined) {
      const q = quotient(split.whole, b.value);
      if (q !== undefined) return q;
    }
    if (a.lo >= 0 && a.hi < b.value) return int(0);
    // What is added stays below the next multiple: of 8·x + 5, an eighth, a sixteenth, … are those of 8·x.
    const [x, k] = a.op === "add" ? a.args : [];
    if (x !== undefined && isConst(k) && k.value > 0 && k.value < gcd(x.factor, b.value)) {
      return divInt(x, b);
    }
  }
  const exact = isConst(b) && a.factor !== 0 && a.factor % b.value === 0;
  return node("div", "i32", [a, b], {
    ...a.lo >= 0 ? { lo: 0, hi: isConst(b) ? Math.floor(a.hi / b.value) : a.hi } : {},
    factor: exact ? a.factor / b.value : 1,
  });
};

/** a % b of numbers that are not negative. */
export const remInt = (a: Expr, b: Expr): Expr => {
  if (isInt(b, 1)) return int(0);
  if (isConst(b)) {
    const split = splitBy(a, b.value);
    if (split !== undefined) return split.rest;
    if (a.factor % b.value === 0 && a.factor !== 0) return int(0);
  }
  const top = isConst(b) ? b.value - 1 : b.hi;
  return node(
    "rem",
    "i32",
    [a, b],
    a.lo >= 0 ? { lo: 0, hi: top, factor: isConst(b) ? gcd(a.factor, b.value) : 1 } : {},
  );
};
