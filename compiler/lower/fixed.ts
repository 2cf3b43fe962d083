/**
 * Integer products on a CPU: which operands are raw codes, and how sixteen of them are read.
 * @module
 */
import { DTYPES, isFixedPoint, isPacked, type Packed } from "../../dsl/core/dtype.ts";
import { blocksOf, inVectors, VECTOR } from "../../dsl/core/layout.ts";
import { runEndingAt } from "../../dsl/core/shape.ts";
import type { Dim, Term, TermOf } from "../../dsl/core/term.ts";
import { asI16, bin, dot16, dot8, type Expr, int, LOOKED, pairs, zip16, zip8 } from "../ir/expr.ts";
import { type Lower, unreshape } from "./at.ts";
import { entriesInWords } from "./entries.ts";
import { type Bits, codesAsBytes, codesAsWords, zipCodes } from "./memory.ts";

/** Codes of one vector. */
export const CODES = VECTOR;

/** The packed tensor behind views that keep runs of sixteen codes along `axis`, or nothing. */
export const codesBehind = (
  term: Term,
  axis: number,
): (Term & { readonly dtype: Packed }) | undefined => {
  const size = term.shape[axis];
  if (typeof size !== "number" || size % CODES !== 0) return undefined;
  if (term.tag === "reshape") {
    const [arg] = term.args;
    const group = runEndingAt(arg.shape, term.shape, axis);
    return group && codesBehind(arg, group.from[1] - 1);
  }
  if (term.tag === "permute") return codesBehind(term.args[0], term.axes[axis]);
  const stored = term.tag === "input" && isPacked(term.dtype) && axis === term.shape.length - 1;
  return stored && isPacked(term.dtype) && inVectors(blocksOf(term.dtype, size))
    ? term as Term & { readonly dtype: Packed }
    : undefined;
};

/** Sixteen codes along `axis`; the term passed {@link codesBehind}. */
const codesAt = (
  low: Lower,
  term: Term,
  index: readonly Expr[],
  axis: number,
): readonly Bits[] => {
  const codes = low.sources.get(term)?.codes?.(index);
  if (codes !== undefined) return codes;
  if (term.tag === "reshape") {
    const [arg] = term.args;
    const group = runEndingAt(arg.shape, term.shape, axis)!;
    return codesAt(low, arg, unreshape(low, term, index), group.from[1] - 1);
  }
  if (term.tag === "permute") {
    return codesAt(
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

/** Codes whose products with 8-bit integers are summed in 16 bits: the largest of them. */
const NARROW = DTYPES.u4.max;

/** Does the term hold raw codes along `axis` that are small enough for 8-bit products? */
export const isNarrow = (term: Term, axis: number): boolean => {
  const codes = codesBehind(term, axis);
  return codes !== undefined && DTYPES[codes.dtype].max <= NARROW;
};

/**
 * Sixteen integers along `axis` from a multiple of 16. As 16-bit integers they come as the even and the odd
 * ones: that is one shift and one mask of where they lie.
 */
export interface Sixteen {
  /** The eight even or odd ones. */
  readonly eight: (odd: number) => Expr;
  /** The even or odd ones of eight, each followed by that of another: four pairs. */
  readonly beside: (other: Sixteen, half: number, odd: number) => Expr;
  /** Codes as bytes. */
  readonly bytes: () => Expr;
  /** Eight codes as bytes, each followed by that of another. */
  readonly zipped: (other: Sixteen, half: number) => Expr;
  /** Codes as they lie. */
  readonly codes: readonly Bits[];
}

/** Sixteen codes. Those of several planes are put together first. */
const sixteenCodes = (planes: readonly Bits[]): Sixteen => {
  const codes = planes.length === 1
    ? planes
    : [{ vector: codesAsBytes(planes), bits: 8, from: int(0), low: 0 }];
  return {
    codes,
    eight: (odd) => codesAsWords(codes, odd),
    beside: (other, half, odd) => codesAsWords(zipCodes(zip16, codes, other.codes, half), odd),
    bytes: () => codesAsBytes(codes),
    zipped: (other, half) => codesAsBytes(zipCodes(zip8, codes, other.codes, half)),
  };
};

/** Reads sixteen integers; the term passed {@link isFixed}. */
export const sixteenAt = (
  low: Lower,
  term: Term,
  index: readonly Expr[],
  axis: number,
): Sixteen => {
  const entries = entriesBehind(term, axis);
  if (entries === undefined) return sixteenCodes(codesAt(low, term, index, axis));
  const codes = sixteenCodes(codesAt(low, entries.codes, index, axis));
  const eight = entriesInWords(entries.values, codes.bytes());
  return {
    ...codes,
    eight,
    beside: (other, half, odd) => asI16(zip16(eight(odd), other.eight(odd), half)),
  };
};

/** Codes along `axis` that lie in one vector: among them, how far a code is shifted is known. */
export const codesOfVector = (term: Term, axis: number): number => {
  const { dtype, shape } = codesBehind(entriesBehind(term, axis)?.codes ?? term, axis)!;
  const { planes } = blocksOf(dtype, shape[shape.length - 1] as number);
  return Math.max(...planes.map(({ bits, width }) => 8 * width / bits));
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
  const fixed = term.args.findIndex((a) => a.tag === "cast" && isFixedPoint(a.dtype));
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

/** Most 8-bit products of a code that are added up in 16 bits: two at a time are multiplied. */
export const narrowSums = (codes: Packed): number =>
  Math.floor(DTYPES.i16.max / (2 * DTYPES.i8.max * DTYPES[codes].max));

/** A sum that begins with its first summand. */
const sumOf = (low: Lower): { add: (e: Expr) => void; get: () => Expr } => {
  let cell: { get: () => Expr; set: (e: Expr) => void } | undefined;
  return {
    add: (e) => {
      if (cell === undefined) cell = low.mutable("sum", e);
      else cell.set(bin("add", cell.get(), e));
    },
    get: () => cell!.get(),
  };
};

/**
 * Four partial sums of a fixed-point product at each of several indices, sixteen codes at a time for all
 * of them: rows that meet the same codes read them once.
 */
export const fixedSums = (
  low: Lower,
  term: Term & TermOf<"contract">,
  { fixed, gone, sizes }: FixedProduct,
  indices: readonly (readonly Expr[])[],
): Expr[] => {
  const out = term.labels.out;
  const place = (arg: number, box: readonly Expr[], index: readonly Expr[]): Expr[] =>
    term.labels.args[arg].map((l) =>
      gone.includes(l) ? box[gone.indexOf(l)] : index[out.indexOf(l)]
    );
  const [own, cached] = [term.args[fixed], term.args[1 - fixed]];
  const source = low.sources.get(own);
  if (source?.fixed === undefined) throw new Error("a fixed-point operand is not staged");
  const codesAxis = term.labels.args[1 - fixed].indexOf(gone[gone.length - 1]);
  const total = sizes.reduce((n, d) => n * d, 1);
  const words = indices.map(() => sumOf(low));
  const narrow = own.dtype === "i8" ? narrowSums(codesBehind(cached, codesAxis)!.dtype) : 0;
  let halves = indices.map(() => sumOf(low));
  for (let at = 0; at < total; at += CODES) {
    const box: Expr[] = [];
    let rest = at;
    for (let i = sizes.length - 1; i >= 0; i--) {
      box.unshift(int(rest % sizes[i]));
      rest = Math.floor(rest / sizes[i]);
    }
    // Integers of a row stay in registers for all its tokens.
    const rows = new Map<string, Expr[]>();
    const rowOf = (index: readonly Expr[]): Expr[] => {
      const key = place(fixed, box, index).map((e) => e.id).join();
      const known = rows.get(key);
      if (known !== undefined) return known;
      const eights = (own.dtype === "i8" ? [0] : [0, 8]).map((k) => {
        const next = box.map((x, i) => i === box.length - 1 ? bin("add", x, int(k)) : x);
        return low.named("row", source.fixed!(place(fixed, next, index)));
      });
      rows.set(key, eights);
      return eights;
    };
    indices.forEach(rowOf);
    indices.forEach((index, i) => {
      const codes = sixteenAt(low, cached, place(1 - fixed, box, index), codesAxis);
      const row = rowOf(index);
      if (own.dtype === "i8") halves[i].add(dot8(row[0], codes.bytes()));
      else row.forEach((eight, odd) => words[i].add(dot16(codes.eight(odd), eight)));
    });
    const done = at / CODES + 1;
    if (narrow > 0 && (done % narrow === 0 || at + CODES === total)) {
      halves.forEach((h, i) => words[i].add(pairs(h.get())));
      halves = indices.map(() => sumOf(low));
    }
  }
  return words.map((w) => w.get());
};
