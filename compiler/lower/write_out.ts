/**
 * Operators that a target has no instruction for, written out as others.
 *
 * A look-up in a small table: `entries.ts`. Lanes of four vectors joined at once:
 *
 * ```text
 * a0+a1 a2+a3 b0+b1 b2+b3  and  c0+c1 c2+c3 d0+d1 d2+d3   →   a b c d
 * ```
 *
 * e^x: x = n·ln 2 + r, a polynomial in r (the coefficients of Cephes `expf`),
 * times 2^n put into the exponent. Within 2 ulp on [−87.3, 88.3], within 10 up to the largest number;
 * below ln 2^−126.5 it is 0.
 * @module
 */
import { DTYPES } from "../../dsl/core/dtype.ts";
import {
  bin,
  type Expr,
  int,
  lane,
  madd,
  narrowU16,
  num,
  packWords,
  rebuilt,
  un,
  unzip32,
  word,
} from "../ir/expr.ts";
import { roundedCodes, UNITS } from "./rounded_codes.ts";
import { countByBytes, countByChoice } from "./search.ts";
import { entriesByBytes, entriesByChoice } from "./entries.ts";
import type { Block, Stmt } from "../ir/stmt.ts";

const LOWEST = -88.1;
const HIGHEST = 88.8;
const LN2_HIGH = 0.693359375;
const LN2_LOW = -2.12194440e-4;
const COEFFICIENTS = [
  1.9875691500e-4,
  1.3981999507e-3,
  8.3334519073e-3,
  4.1665795894e-2,
  1.6666665459e-1,
  5.0000001201e-1,
];

/** Four lanes of e^x. */
const expanded = (x: Expr): Expr => {
  const all = (value: number): Expr => un("splat", num(value));
  const clamped = bin("min", bin("max", x, all(LOWEST)), all(HIGHEST));
  // The lowest bits hold n + 127: shifted, they are the exponent of 2^n, and 0 is that of 0.
  const biased = bin("min", madd(clamped, all(1.44269504), all(UNITS + 127)), all(UNITS + 254));
  const n = bin("sub", biased, all(UNITS + 127));
  const r = madd(n, all(-LN2_LOW), madd(n, all(-LN2_HIGH), clamped));
  const [first, ...rest] = COEFFICIENTS;
  const p = rest.reduce((acc, c) => madd(acc, r, all(c)), all(first));
  const value = bin("add", madd(p, bin("mul", r, r), r), all(1));
  const exponent = bin("shl", un("asU32", biased), int(23));
  return bin("mul", value, un("asF32", exponent));
};

/**
 * Numbers as the bits of the nearest halves: 2^13 times the power of two at or below |x| (2^-14 at least) is
 * added, so that the sum ends where a half ends; its last bits count halves from that power on.
 */
const halfWords = (x: Expr): Expr => {
  const all = (value: number): Expr => un("splat", num(value));
  const words = (value: number): Expr => un("splat", word(value));
  const magnitude = bin("min", un("abs", x), all(DTYPES.f16.max));
  const exponent = un("asF32", bin("and", un("asU32", magnitude), words(0x7f800000)));
  const power = bin("max", exponent, all(2 ** -14));
  const ends = bin("mul", power, all(2 ** 13));
  const counted = bin("sub", un("asU32", bin("add", magnitude, ends)), un("asU32", ends));
  // The bits of 2^-14 become none.
  const own = bin("sub", bin("shr", un("asU32", power), word(13)), words(0x38800000 >>> 13));
  const sign = bin("shr", bin("and", un("asU32", x), words(0x80000000)), word(16));
  return bin("or", bin("add", counted, own), sign);
};

/** What a target has. */
interface Has {
  readonly exp: boolean;
  readonly dot16: boolean;
}

const lookedUp = ({ args: [block, ...entries], value }: Expr, { dot16 }: Has): Expr =>
  (dot16 ? entriesByBytes : entriesByChoice)(entries.map((e) => e.value), block, value);

const counted = ({ args: [x, ...cuts] }: Expr, { dot16 }: Has): Expr =>
  (dot16 ? countByBytes : countByChoice)(x, cuts.map((e) => e.value));

/** Sixteen codes as bytes: rounded here, or whole numbers already. */
const packed = (parts: readonly Expr[], same: Expr): Expr =>
  parts.every((p) => p.op === "toF32" && p.args[0].type === "u32x4")
    ? packWords(parts.map((p) => p.args[0]), 255, 0)
    : roundedCodes(parts) ?? same;

const JOINS = { hsum4: "add", hmax4: "max", hmin4: "min" } as const;
const isAcross4 = (op: Expr["op"]): op is keyof typeof JOINS => op in JOINS;

/** The lanes of four vectors, joined: neighbours, then those. */
const acrossByUnzips = (op: keyof typeof JOINS, parts: readonly Expr[]): Expr => {
  const joined = (a: Expr, b: Expr): Expr => bin(JOINS[op], unzip32(a, b, 0), unzip32(a, b, 1));
  const [a, b, c, d] = parts;
  return joined(joined(a, b), joined(c, d));
};

/**
 * Halves are widened by moving sign and exponent into place, and 2^112 makes up for the bias, subnormals
 * included. Which bits are kept, and the power, become operands: they are the same for all.
 */
const withConstants = (e: Expr): Expr =>
  rebuilt(e, [...e.args, un("splat", word(0x8fffe000)), un("splat", num(2 ** 112))]);

/** Replaces e^x, look-ups and lane sums; shared subexpressions stay shared. Runs while the kernel's nodes are. */
export const writeOut = (block: Block, has: Has): Block => {
  const done = new Map<Expr, Expr>();
  const go = (e: Expr): Expr => {
    const known = done.get(e);
    if (known !== undefined) return known;
    const args = e.args.map(go);
    const same = rebuilt(e, args);
    const out = e.op === "lookup"
      ? lookedUp(same, has)
      : e.op === "above"
      ? counted(same, has)
      : e.op === "halves" && has.dot16
      ? withConstants(same)
      : isAcross4(e.op) && has.dot16
      ? acrossByUnzips(e.op, args)
      : e.op === "roundedHalves"
      ? narrowU16(halfWords(args[0]), halfWords(args[1]))
      : e.op === "packBytes" && has.dot16
      ? packed(args, same)
      : e.op !== "exp" || has.exp
      ? same
      : e.type === "f32x4"
      ? expanded(args[0])
      : lane(expanded(un("splat", args[0])), 0);
    done.set(e, out);
    return out;
  };
  const statement = (s: Stmt): Stmt => {
    switch (s.tag) {
      case "var":
      case "assign":
        return { ...s, value: go(s.value) };
      case "store":
        return { ...s, index: go(s.index), value: go(s.value) };
      case "for":
        return { ...s, from: go(s.from), to: go(s.to), body: s.body.map(statement) };
      case "par":
        return { ...s, count: go(s.count), body: s.body.map(statement) };
      case "if":
        return { ...s, condition: go(s.condition), body: s.body.map(statement) };
    }
  };
  return block.map(statement);
};
