/**
 * Expressions of the loop language: pure, typed, shared by identity, over scalars and 4 lanes.
 * Printed as WGSL and as WebAssembly text by one table a target (`compiler/emit/`).
 *
 * Integer expressions carry a range and a known divisor, so that an index that is only regrouped
 * (`(t * 64 + d) / 64`) costs nothing at run time.
 * @module
 */

/** Types of the loop language; `bool4` is four truth values. */
export type Ty = "i32" | "u32" | "f32" | "bool" | "f32x4" | "u32x4" | "bool4" | "i32x4" | "i16x8";

/** An array a kernel reads or writes. Lengths of shared arrays are known when the text is made. */
export interface Arr {
  /** Name within its kernel. */
  readonly name: string;
  /** Word type. */
  readonly elem: "f32" | "u32";
  /** Storage of the device, or memory of one group. */
  readonly space: "storage" | "shared";
  /** Written by this kernel: reads of it are never moved. */
  readonly mutable: boolean;
  /** Elements, for shared arrays. */
  readonly length: number;
}

/** Operators with one operand. */
export type Un =
  | "neg"
  | "abs"
  | "sqrt"
  | "exp"
  | "rint"
  | "toF32"
  | "toI32"
  | "toU32"
  | "asF32"
  | "asU32"
  | "splat"
  | "not"
  | "hsum"
  | "hmax"
  | "hmin"
  | "popcount";

/** Operators with two operands. */
export type Bin =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "rem"
  | "min"
  | "max"
  | "and"
  | "or"
  | "shl"
  | "shr"
  | "lt"
  | "le"
  | "eq";

/** A node; which fields matter depends on `op`. */
export interface Expr {
  /** Number of the node. */
  readonly id: number;
  /** Operator. */
  readonly op:
    | "const"
    | "var"
    | "uniform"
    | "load"
    | "select"
    | "lane"
    | "vec4"
    | "madd"
    | "bytes"
    | "packBytes"
    | "halves"
    | "widen8"
    | "dot16"
    | "packI16"
    | "asI16"
    | "zip8"
    | "hsum4"
    | Un
    | Bin;
  /** Type of the value. */
  readonly type: Ty;
  /** Operands. */
  readonly args: readonly Expr[];
  /** Constant, lane or byte number. */
  readonly value: number;
  /** Name of a variable or uniform. */
  readonly name: string;
  /** Array that is read. */
  readonly arr: Arr | undefined;
  /** Smallest and largest value of an integer, as far as known. */
  readonly lo: number;
  /** Largest value. */
  readonly hi: number;
  /** A number that divides the integer. */
  readonly factor: number;
  /** Reads memory or a variable that this kernel changes: stays where it is used. */
  readonly volatile: boolean;
}

let table = new Map<string, Expr>();
let integers = new Map<number, Expr>();
let counter = 0;

/** Forgets shared nodes; called when a kernel begins, so that tables do not grow for ever. */
export const freshExprs = (): void => {
  table = new Map();
  integers = new Map();
  counter = 0;
};

const PLAIN: Partial<Expr> = {};

const node = (
  op: Expr["op"],
  type: Ty,
  args: readonly Expr[],
  more: Partial<Expr> = PLAIN,
): Expr => {
  const { value = 0, name = "", arr, lo = -Infinity, hi = Infinity, factor = 1 } = more;
  let key = `${op}|${type}`;
  for (const a of args) key += `,${a.id}`;
  if (more !== PLAIN) key += `|${Object.is(value, -0) ? "-0" : value}|${name}|${arr?.name ?? ""}`;
  const old = table.get(key);
  if (old !== undefined) return old;
  const volatile = more.volatile === true || arr?.mutable === true || args.some((a) => a.volatile);
  const made: Expr = { id: counter++, op, type, args, value, name, arr, lo, hi, factor, volatile };
  table.set(key, made);
  return made;
};

const lanesOf = (type: Ty): boolean => type.includes("x") || type === "bool4";

/** An integer. */
export const int = (value: number): Expr => {
  const known = integers.get(value);
  if (known !== undefined) return known;
  const made = node("const", "i32", [], { value, lo: value, hi: value, factor: Math.abs(value) });
  integers.set(value, made);
  return made;
};
/** An unsigned word. */
export const word = (value: number): Expr => node("const", "u32", [], { value: value >>> 0 });
/** A number. */
export const num = (value: number): Expr => node("const", "f32", [], { value: Math.fround(value) });

/** A named variable; `mutable` ones are volatile. */
export const variable = (
  name: string,
  type: Ty,
  options: { mutable?: boolean; lo?: number; hi?: number; factor?: number } = {},
): Expr =>
  node("var", type, [], {
    name,
    volatile: options.mutable ?? false,
    ...(options.lo === undefined ? {} : { lo: options.lo }),
    ...(options.hi === undefined ? {} : { hi: options.hi }),
    ...(options.factor === undefined ? {} : { factor: options.factor }),
  });

/** A size known when the kernel runs. */
export const uniform = (name: string): Expr => node("uniform", "i32", [], { name, lo: 0 });

/** One element (`f32` or `u32`) or four (`f32x4`, `u32x4`) of an array; the index counts elements. */
export const load = (arr: Arr, index: Expr, wide = false): Expr =>
  node("load", wide ? (arr.elem === "f32" ? "f32x4" : "u32x4") : arr.elem, [index], { arr });

const isInt = (e: Expr, value: number): boolean =>
  e.op === "const" && e.type === "i32" && e.value === value;
const isConst = (e: Expr): boolean => e.op === "const";
/** Divisors are tracked while they are exact. */
const EXACT = 2 ** 30;
const gcd = (a: number, b: number): number => {
  if (!(a < EXACT && b < EXACT)) return 1;
  return b === 0 ? a : gcd(b, a % b);
};

const foldInt = (op: Bin, a: number, b: number): number | undefined => {
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

const addInt = (a: Expr, b: Expr): Expr => {
  const x = rejoined(a, b) ?? rejoined(b, a);
  if (x !== undefined) return x;
  if (isInt(a, 0)) return b;
  if (isInt(b, 0)) return a;
  if (isConst(a) && isConst(b)) return int(a.value + b.value);
  if (isConst(a)) return addInt(b, a);
  if (isConst(b) && a.op === "add" && isConst(a.args[1])) {
    return addInt(a.args[0], int(a.args[1].value + b.value));
  }
  // Constants go last, so that a load can carry them as an offset.
  if (a.op === "add" && isConst(a.args[1])) return addInt(addInt(a.args[0], b), a.args[1]);
  if (b.op === "add" && isConst(b.args[1])) return addInt(addInt(a, b.args[0]), b.args[1]);
  return node("add", "i32", [a, b], {
    lo: a.lo + b.lo,
    hi: a.hi + b.hi,
    factor: gcd(a.factor, b.factor),
  });
};

const mulInt = (a: Expr, b: Expr): Expr => {
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
  const parts = terms(e);
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
const divInt = (a: Expr, b: Expr): Expr => {
  if (isInt(b, 1) || isInt(a, 0)) return a;
  if (isConst(b)) {
    const split = splitBy(a, b.value);
    if (split !== undefined) {
      const q = quotient(split.whole, b.value);
      if (q !== undefined) return q;
    }
    if (a.lo >= 0 && a.hi < b.value) return int(0);
  }
  return node(
    "div",
    "i32",
    [a, b],
    a.lo >= 0 ? { lo: 0, hi: isConst(b) ? Math.floor(a.hi / b.value) : a.hi } : {},
  );
};

const remInt = (a: Expr, b: Expr): Expr => {
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

/** A binary operator; both sides have one type, a scalar spreads to the other's lanes. */
export const bin = (op: Bin, a: Expr, b: Expr): Expr => {
  if (lanesOf(a.type) && !lanesOf(b.type) && op !== "shl" && op !== "shr") {
    return bin(op, a, un("splat", b));
  }
  if (lanesOf(b.type) && !lanesOf(a.type)) return bin(op, un("splat", a), b);
  const compare = op === "lt" || op === "le" || op === "eq";
  if (a.type === "i32" && !compare) {
    if (isConst(a) && isConst(b)) {
      const folded = foldInt(op, a.value, b.value);
      if (folded !== undefined) return int(folded);
    }
    if (op === "add") return addInt(a, b);
    if (op === "sub") {
      return isConst(b)
        ? addInt(a, int(-b.value))
        : a === b
        ? int(0)
        : node(op, "i32", [a, b], { lo: a.lo - b.hi, hi: a.hi - b.lo });
    }
    if (op === "mul") return mulInt(a, b);
    if (op === "div") return divInt(a, b);
    if (op === "rem") return remInt(a, b);
    if (op === "min") {
      return a.hi <= b.lo
        ? a
        : b.hi <= a.lo
        ? b
        : node(op, "i32", [a, b], { lo: Math.min(a.lo, b.lo), hi: Math.min(a.hi, b.hi) });
    }
    if (op === "max") {
      return node(op, "i32", [a, b], { lo: Math.max(a.lo, b.lo), hi: Math.max(a.hi, b.hi) });
    }
  }
  if (op === "lt" && a.type === "i32" && a.hi < b.lo) {
    return node("const", "bool", [], { value: 1 });
  }
  const type = compare ? (lanesOf(a.type) ? "bool4" : "bool") : a.type;
  if ((op === "shl" || op === "shr") && b.op === "const" && b.value === 0) return a;
  return node(op, type, [a, b]);
};

const UN_TYPE: Partial<Record<Un, (t: Ty) => Ty>> = {
  toF32: (t) => t === "u32x4" || t === "i32x4" ? "f32x4" : "f32",
  toI32: () => "i32",
  toU32: (t) => t === "f32x4" ? "u32x4" : "u32",
  asF32: (t) => t === "u32x4" ? "f32x4" : "f32",
  asU32: (t) => t === "f32x4" ? "u32x4" : "u32",
  splat: (t) =>
    ({ f32: "f32x4", bool: "bool4", i32: "i32x4" } as Partial<Record<Ty, Ty>>)[t] ?? "u32x4",
  hsum: () => "f32",
  hmax: () => "f32",
  hmin: () => "f32",
};

/** A unary operator. */
export const un = (op: Un, a: Expr): Expr => {
  if (op === "splat" && lanesOf(a.type)) return a;
  return node(op, (UN_TYPE[op] ?? ((t: Ty) => t))(a.type), [a]);
};

/** `condition ? a : b`, lane by lane if the condition has lanes. */
export const select = (condition: Expr, a: Expr, b: Expr): Expr => {
  if (condition.op === "const") return condition.value ? a : b;
  if (a === b) return a;
  const wide = [condition, a, b].some((e) => lanesOf(e.type));
  const [c, x, y] = wide ? [condition, a, b].map((e) => un("splat", e)) : [condition, a, b];
  return node("select", x.type, [c, x, y]);
};

/** One lane of four. */
export const lane = (a: Expr, k: number): Expr => {
  if (a.op === "vec4") return a.args[k];
  if (a.op === "splat") return a.args[0];
  return node("lane", a.type === "f32x4" ? "f32" : a.type === "u32x4" ? "u32" : "bool", [a], {
    value: k,
  });
};

/** Four scalars as lanes. */
export const vec4 = (parts: readonly Expr[]): Expr =>
  parts.every((p) => p === parts[0]) ? un("splat", parts[0]) : node(
    "vec4",
    parts[0].type === "f32" ? "f32x4" : parts[0].type === "bool" ? "bool4" : "u32x4",
    parts,
  );

/** a·b + c, with or without rounding in between. */
export const madd = (a: Expr, b: Expr, c: Expr): Expr => {
  const wide = [a, b, c].some((e) => lanesOf(e.type));
  const args = wide ? [a, b, c].map((e) => un("splat", e)) : [a, b, c];
  return node("madd", wide ? "f32x4" : "f32", args);
};

/** Bytes 4k … 4k+3 of 16 bytes as numbers. */
export const bytes = (block: Expr, k: number): Expr =>
  node("bytes", "f32x4", [block], { value: k });

/** Sixteen numbers 0 … 255, already rounded, as 16 bytes. */
export const packBytes = (parts: readonly Expr[]): Expr => node("packBytes", "u32x4", parts);

/** Four halves of an f16 array as numbers; the index counts halves. */
export const halves = (arr: Arr, index: Expr): Expr => node("halves", "f32x4", [index], { arr });

/** Bytes 8·half … of 16 bytes as eight 16-bit integers. */
export const widen8 = (block: Expr, half: number): Expr =>
  node("widen8", "i16x8", [block], { value: half });

/** Products of eight 16-bit pairs, neighbours added: four 32-bit sums. */
export const dot16 = (a: Expr, b: Expr): Expr => node("dot16", "i32x4", [a, b]);

/** Eight rounded numbers within ±32767 as 16-bit integers in four words. */
export const packI16 = (low: Expr, high: Expr): Expr => node("packI16", "u32x4", [low, high]);

/** Four words as eight 16-bit integers. */
export const asI16 = (words: Expr): Expr => node("asI16", "i16x8", [words]);

/** Bytes a0 b0 a1 b1 … of the low (0) or high (1) halves of 16 bytes. */
export const zip8 = (a: Expr, b: Expr, half: number): Expr =>
  node("zip8", "u32x4", [a, b], { value: half });

/** The four lane sums of four vectors. */
export const hsum4 = (parts: readonly Expr[]): Expr => node("hsum4", "f32x4", parts);

/** The same node over other operands. */
export const rebuilt = (e: Expr, args: readonly Expr[]): Expr =>
  args.every((a, i) => a === e.args[i]) ? e : node(e.op, e.type, args, {
    value: e.value,
    name: e.name,
    ...(e.arr === undefined ? {} : { arr: e.arr }),
    lo: e.lo,
    hi: e.hi,
    factor: e.factor,
  });
