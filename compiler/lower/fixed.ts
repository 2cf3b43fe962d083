/**
 * Integer products on a CPU: which operands are raw codes, and how sixteen of them are read.
 * @module
 */
import { isPacked } from "../../dsl/core/dtype.ts";
import { blocksOf, inVectors, VECTOR } from "../../dsl/core/layout.ts";
import { runEndingAt } from "../../dsl/core/shape.ts";
import type { Dim, Term, TermOf } from "../../dsl/core/term.ts";
import { asI16, bin, dot16, type Expr, int, LOOKED, un, widen8, zip16, zip8 } from "../ir/expr.ts";
import { type Lower, unreshape } from "./at.ts";
import { entriesInWords } from "./entries.ts";

/** Codes of one vector. */
export const CODES = VECTOR;

/** The packed tensor behind views that keep runs of sixteen codes along `axis`, or nothing. */
export const codesBehind = (term: Term, axis: number): Term | undefined => {
  const size = term.shape[axis];
  if (typeof size !== "number" || size % CODES !== 0) return undefined;
  if (term.tag === "reshape") {
    const [arg] = term.args;
    const group = runEndingAt(arg.shape, term.shape, axis);
    return group && codesBehind(arg, group.from[1] - 1);
  }
  if (term.tag === "permute") return codesBehind(term.args[0], term.axes[axis]);
  const stored = term.tag === "input" && isPacked(term.dtype) && axis === term.shape.length - 1;
  return stored && isPacked(term.dtype) && inVectors(blocksOf(term.dtype, size)) ? term : undefined;
};

/** Sixteen codes along `axis` as bytes; the term passed {@link codesBehind}. */
export const bytesAt = (low: Lower, term: Term, index: readonly Expr[], axis: number): Expr => {
  const source = low.sources.get(term);
  if (source?.bytes !== undefined) {
    const bytes = source.bytes(index);
    if (bytes !== undefined) return bytes;
  }
  if (term.tag === "reshape") {
    const [arg] = term.args;
    const group = runEndingAt(arg.shape, term.shape, axis)!;
    return bytesAt(low, arg, unreshape(low, term, index), group.from[1] - 1);
  }
  if (term.tag === "permute") {
    return bytesAt(
      low,
      term.args[0],
      term.axes.map((_, i) => index[term.axes.indexOf(i)]),
      term.axes[axis],
    );
  }
  throw new Error(`${term.tag} ${JSON.stringify(term.shape)} holds no run of ${CODES} codes`);
};

/** A codebook of 16-bit integers and the packed codes that choose from it. */
interface Entries {
  readonly values: readonly number[];
  readonly codes: Term;
}

/** The codebook behind a look-up that keeps runs of sixteen codes along `axis`, or nothing. */
const entriesBehind = (term: Term, axis: number): Entries | undefined => {
  if (term.tag !== "gather" || axis >= term.args[1].shape.length) return undefined;
  const [given, codes] = term.args;
  if (given.tag !== "cast" || given.dtype !== "i16" || given.args[0].tag !== "table") {
    return undefined;
  }
  const { values } = given.args[0];
  return values.length <= LOOKED && codesBehind(codes, axis) !== undefined
    ? { values, codes }
    : undefined;
};

/** Does the term hold small integers along `axis`, raw codes or entries of a codebook? */
export const isFixed = (term: Term, axis: number): boolean =>
  codesBehind(term, axis) !== undefined || entriesBehind(term, axis) !== undefined;

/** Sixteen integers along `axis` from a multiple of 16: eight of them, or four beside four of another. */
interface Sixteen {
  readonly eight: (half: number) => Expr;
  readonly beside: (other: Sixteen, quarter: number) => Expr;
  /** Codes as bytes, entries as two vectors of words. */
  readonly bytes?: Expr;
}

/** Reads sixteen integers; the term passed {@link isFixed}. */
export const sixteenAt = (
  low: Lower,
  term: Term,
  index: readonly Expr[],
  axis: number,
): Sixteen => {
  const entries = entriesBehind(term, axis);
  if (entries === undefined) {
    const bytes = bytesAt(low, term, index, axis);
    return {
      bytes,
      eight: (half) => widen8(bytes, half),
      beside: (other, q) => widen8(zip8(bytes, other.bytes!, q >> 1), q & 1),
    };
  }
  const eight = entriesInWords(entries.values, bytesAt(low, entries.codes, index, axis));
  return {
    eight,
    beside: (other, q) => asI16(zip16(eight(q >> 1), other.eight(q >> 1), q & 1)),
  };
};

/** A product of a fixed-point operand with raw codes, whose last contracted label runs through codes. */
export interface FixedProduct {
  /** Which operand is fixed-point. */
  readonly fixed: number;
  /** Contracted labels, the one along the codes last. */
  readonly gone: readonly string[];
  readonly sizes: readonly number[];
}

/** Recognizes a product that integer instructions can make. */
export const fixedProduct = (term: Term & TermOf<"contract">): FixedProduct | undefined => {
  const fixed = term.args.findIndex((a) => a.tag === "cast" && a.dtype === "i16");
  if (fixed < 0) return undefined;
  const [own, codes] = [term.labels.args[fixed], term.labels.args[1 - fixed]];
  const last = own[own.length - 1];
  const gone = own.filter((l) => !term.labels.out.includes(l));
  const size = (l: string): Dim => term.args[fixed].shape[own.indexOf(l)];
  const sizes = gone.map(size);
  if (
    !gone.includes(last) || gone.some((l) => !codes.includes(l)) ||
    sizes.some((n) => typeof n === "string")
  ) {
    return undefined;
  }
  if (codes.some((l) => !term.labels.out.includes(l) && !gone.includes(l))) return undefined;
  if (!isFixed(term.args[1 - fixed], codes.indexOf(last))) return undefined;
  return { fixed, gone, sizes: sizes as number[] };
};

/** Four partial sums of a fixed-point product at an index. */
export const fixedSums = (
  low: Lower,
  term: Term & TermOf<"contract">,
  { fixed, gone, sizes }: FixedProduct,
  index: readonly Expr[],
): Expr => {
  const out = term.labels.out;
  const place = (arg: number, box: readonly Expr[]): Expr[] =>
    term.labels.args[arg].map((l) =>
      gone.includes(l) ? box[gone.indexOf(l)] : index[out.indexOf(l)]
    );
  const source = low.sources.get(term.args[fixed]);
  if (source?.fixed === undefined) throw new Error("a fixed-point operand is not staged");
  const last = gone[gone.length - 1];
  const codesAxis = term.labels.args[1 - fixed].indexOf(last);
  let sum: Expr | undefined;
  const total = sizes.reduce((n, d) => n * d, 1);
  for (let at = 0; at < total; at += CODES) {
    const box: Expr[] = [];
    let rest = at;
    for (let i = sizes.length - 1; i >= 0; i--) {
      box.unshift(int(rest % sizes[i]));
      rest = Math.floor(rest / sizes[i]);
    }
    const codes = sixteenAt(low, term.args[1 - fixed], place(1 - fixed, box), codesAxis);
    for (const half of [0, 1]) {
      const next = box.map((x, i) => i === box.length - 1 ? bin("add", x, int(8 * half)) : x);
      const part = dot16(codes.eight(half), source.fixed(place(fixed, next)));
      sum = sum === undefined ? part : bin("add", sum, part);
    }
  }
  return un("toF32", sum!);
};
