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
    | "packWords"
    | "halves"
    | "twice"
    | "dot16"
    | "dot8"
    | "pairs"
    | "widen16"
    | "packI8"
    | "packI16"
    | "asI16"
    | "zip8"
    | "zip16"
    | "zip32"
    | "unzip16"
    | "unzip32"
    | "reversed"
    | "turned"
    | "swizzle"
    | "lookup"
    | "above"
    | "hsum4"
    | "hmax4"
    | "hmin4"
    | "roundedHalves"
    | "narrowU16"
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

/** The node with these contents, shared with its equals. */
export const node = (
  op: Expr["op"],
  type: Ty,
  args: readonly Expr[],
  more: Partial<Expr> = PLAIN,
): Expr => {
  let key = `${op}|${type}`;
  for (const a of args) key += `,${a.id}`;
  if (more !== PLAIN) {
    const { value = 0, name = "", arr } = more;
    key += `|${Object.is(value, -0) ? "-0" : value}|${name}|${arr?.name ?? ""}`;
  }
  const old = table.get(key);
  if (old !== undefined) return old;
  const { value = 0, name = "", arr, lo = -Infinity, hi = Infinity, factor = 1 } = more;
  const volatile = more.volatile === true || arr?.mutable === true || args.some((a) => a.volatile);
  const made: Expr = { id: counter++, op, type, args, value, name, arr, lo, hi, factor, volatile };
  table.set(key, made);
  return made;
};

/** Does a type have lanes? */
export const lanesOf = (type: Ty): boolean => !SCALAR[type];

const SCALAR: Partial<Record<Ty, true>> = { i32: true, u32: true, f32: true, bool: true };

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
