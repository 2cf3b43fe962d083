/**
 * What values can be whatever the inputs are: between two numbers, by what a term is clamped to, looked up
 * in, or cast to.
 *
 * ```text
 * min(max(x, 0), 1)      0 … 1          gather(levels, codes)      −2.7 … 2.7
 * cast x : u4            0 … 15         s·x                     nothing
 * ```
 * @module
 */
import { type DType, DTYPES, isFloat, isPacked } from "../core/dtype.ts";
import { tableOf } from "../core/gaps.ts";
import { argsOf, type Term } from "../core/term.ts";

/** Two finite ends. */
export interface Range {
  readonly lo: number;
  readonly hi: number;
}

/** A table may have more numbers than a call takes. */
const ends = (xs: readonly number[]): Range =>
  xs.reduce(({ lo, hi }, x) => ({ lo: Math.min(lo, x), hi: Math.max(hi, x) }), {
    lo: Infinity,
    hi: -Infinity,
  });

const ALL: Range = { lo: -Infinity, hi: Infinity };

const MAPS: Readonly<Record<string, (a: Range, b: Range, c: Range) => Range>> = {
  neg: ({ lo, hi }) => ({ lo: -hi, hi: -lo }),
  min: (a, b) => ({ lo: Math.min(a.lo, b.lo), hi: Math.min(a.hi, b.hi) }),
  max: (a, b) => ({ lo: Math.max(a.lo, b.lo), hi: Math.max(a.hi, b.hi) }),
  abs: (a) => ({ lo: Math.max(0, a.lo, -a.hi), hi: Math.max(-a.lo, a.hi) }),
  rint: (a) => ({ lo: Math.floor(a.lo), hi: Math.ceil(a.hi) }),
  less: () => ({ lo: 0, hi: 1 }),
  hadamard: () => ({ lo: -1, hi: 1 }),
  select: (_, b, c) => ends([b.lo, b.hi, c.lo, c.hi]),
};

const known = new WeakMap<Term, Range>();

/** The ends of what values can be, ±∞ where there is none: of what no arithmetic rounds. */
export const endsOf = (t: Term): Range => {
  const old = known.get(t);
  if (old !== undefined) return old;
  const made = found(t);
  known.set(t, made);
  return made;
};

const typeEnds = (dtype: DType): Range => ({ lo: DTYPES[dtype].min, hi: DTYPES[dtype].max });

const found = (t: Term): Range => {
  if (isPacked(t.dtype)) return typeEnds(t.dtype);
  const args = argsOf(t);
  switch (t.tag) {
    case "constant":
      return ends([t.value]);
    case "table":
      return ends(t.values);
    case "map": {
      const [a, b = ALL, c = ALL] = args.map(endsOf);
      return MAPS[t.op]?.(a, b, c) ?? ALL;
    }
    case "cast":
      return t.dtype === "f32" ? endsOf(args[0]) : isFloat(t.dtype) ? typeEnds(t.dtype) : ALL;
    case "gather": {
      const values = tableOf(args[0]);
      return values === undefined ? endsOf(args[0]) : ends(values);
    }
    case "reshape":
    case "permute":
    case "broadcast":
    case "slice":
      return endsOf(args[0]);
    case "concat": {
      const all = args.map(endsOf);
      return ends(all.flatMap(({ lo, hi }) => [lo, hi]));
    }
    case "fold":
      return t.monoid === "max" ? endsOf(args[0]) : ALL;
    default:
      return ALL;
  }
};

/** How far apart two values of the term can be, nothing where there is no end. */
export const widthOf = (t: Term): number | undefined => {
  const { lo, hi } = endsOf(t);
  return Number.isFinite(hi - lo) ? hi - lo : undefined;
};
