/**
 * Codes as they are stored, sixteen at a time: numbers that are rounded, held between two ends and moved.
 *
 * ```text
 * four times:  trunc(min(max(rint(x·s), −7), 7) + 8), and pack: bytes
 *          →   bits of max(units − 7, madd(x, s, units)) less those of units − 7, and pack: bytes ≤ 14, plus 1
 * ```
 * `units` is {@link UNITS}: a sum with it ends at whole numbers, half to even, and its last bits count them.
 * The lower end is held before the bits are looked at (a number far below 0 would have a sign), the upper one
 * when they are bytes, since packing saturates. A product is rounded with the sum: once, where it was twice.
 * @module
 */
import { bin, type Expr, isAll, madd, num, packWords, un, word } from "../ir/expr.ts";

/** Numbers from 2^23 to 2^24 are whole; this one leaves room for what is below 0. */
export const UNITS = 1.5 * 2 ** 23;
/** The bits of a number of f32. */
const bitsOf = (x: number): number => new Uint32Array(Float32Array.of(x).buffer)[0];

/** A number before it is rounded, held in `lo … hi` and moved by `add`. */
interface Code {
  readonly of: Expr;
  readonly lo: number;
  readonly hi: number;
  readonly add: number;
}

/** The whole number that an operand is in every lane. */
const whole = (e: Expr): number | undefined => {
  const one = e.op === "splat" ? e.args[0] : e;
  return one.op === "const" && isAll(e, one.value) && Number.isInteger(one.value)
    ? one.value
    : undefined;
};

/** The parts of a code; nothing where it is not rounded here. */
const codeOf = (e: Expr): Code | undefined => {
  if (e.op === "rint") return { of: e.args[0], lo: -Infinity, hi: Infinity, add: 0 };
  const by = e.args.length === 2 ? whole(e.args[1]) : undefined;
  const inner = by === undefined ? undefined : codeOf(e.args[0]);
  if (by === undefined || inner === undefined) return undefined;
  const { lo, hi, add } = inner;
  if (e.op === "add") return { ...inner, add: add + by };
  if (e.op === "sub") return { ...inner, add: add - by };
  const end = by - add;
  if (e.op === "max") return { ...inner, lo: Math.max(lo, end), hi: Math.max(hi, end) };
  if (e.op === "min") return { ...inner, lo: Math.min(lo, end), hi: Math.min(hi, end) };
  return undefined;
};

/** Sixteen codes as bytes in this way, or nothing where they are something else. */
export const roundedCodes = (parts: readonly Expr[]): Expr | undefined => {
  const codes = parts.map(codeOf);
  const [first] = codes;
  if (first === undefined) return undefined;
  const { lo, hi, add } = first;
  const same = codes.every((c) => c !== undefined && c.lo === lo && c.hi === hi && c.add === add);
  if (!same || !(lo + add >= 0 && hi + add <= 255)) return undefined;
  const all = (value: number): Expr => un("splat", num(value));
  const words = codes.map((c) => {
    const { op, args } = c!.of;
    const units = op === "mul" ? madd(args[0], args[1], all(UNITS)) : bin("add", c!.of, all(UNITS));
    // The first operand of two is kept where the other is no number.
    const held = bin("max", all(UNITS + lo), units);
    return bin("sub", un("asU32", held), un("splat", word(bitsOf(UNITS + lo))));
  });
  return packWords(words, hi - lo, lo + add);
};
