/**
 * How far a program with lossy nodes is from its ideal, as a term: the same program with every rounding
 * (a code, a half) left out, saturation kept, and scales as stored. It compiles like any other term.
 *
 * A rounding that other codes are computed against (a scale, a minimum) is *as stored*: both programs
 * use it, so it costs nothing. Every other rounding costs half a step, which the nodes above carry on
 * (`maps.ts`, `labelled.ts`, `softmax.ts`, and for 2-norms `norm.ts`). On a machine the roundings of its
 * arithmetic are added, those of the bound's own included: |computed − ideal| is within what is computed.
 * @module
 */
import { broadcast, constant, gather, map, permute, reshape, table } from "../core/build.ts";
import { concat, sliced } from "../core/pieces.ts";
import { DTYPES, isPacked } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";
import { besides, gapsOf, tableOf, widestGap } from "../core/gaps.ts";
import {
  argsOf,
  read,
  type Reading,
  type Term,
  type TermOf,
  topological,
  VIEWS,
  withArgs,
} from "../core/term.ts";
import { anywhere } from "../core/codes.ts";
import { inflated } from "./inflate.ts";
import { isLossy, type Known, parametersOf } from "./ideal.ts";
import {
  abs,
  type Bounded,
  type Context,
  exact,
  LEAST,
  NO_CLAIM,
  sum,
  total,
  zero,
} from "./known.ts";
import { contractBound, foldBound } from "./labelled.ts";
import { mappedFold } from "./mapped.ts";
import { castBound, mapBound } from "./maps.ts";
import { normOf, normOver } from "./norm.ts";
import { endsOf } from "./range.ts";
import { softmaxBound } from "./softmax.ts";
import { isChoice } from "./whole.ts";

/** A view of a value is a view of all that is known of it. */
const viewed = (b: Bounded, value: Term, view: (e: Term) => Term): Bounded => ({
  value,
  error: b.error && view(b.error),
  growth: b.growth,
  size: () => view(b.size()),
});

const contraction = (t: TermOf<"contract">, value: Term, c: Context): Bounded => {
  const fold = mappedFold(t, c);
  return fold === undefined ? contractBound(t, value, c) : softmaxBound(fold, value, c);
};

/** A number of f32 that is not below x: tables hold f32, and a gap of two entries may lie between. */
const above = (x: number): number =>
  Math.fround(x) >= x ? Math.fround(x) : Math.fround(x * (1 + 2 ** -23));

/** Is the index one of some that were compared, no number that was rounded? Nothing lies between two of those. */
const isChosen = (index: Term, c: Context): boolean =>
  isPacked(index.dtype) && !c.parameters.has(index) &&
  (VIEWS.has(index.tag)
    ? argsOf(index).some((a) => isChosen(a, c))
    : index.tag === "cast" && isChoice(index.args[0]) && reads(index));

/** Does the term depend on what a program is given? */
const reads = anywhere((t) => t.tag === "input");

const ascends = (values: readonly number[]): boolean => gapsOf(values).every((gap) => gap >= 0);

/**
 * A look-up. By an index that is off, a table of numbers is off by its gaps (`core/gaps.ts`), a codebook by
 * half of the larger one beside the entry. Where entries do not ascend, or were chosen, what the index stands
 * for may be any of them, or between; a row that may be any other row has no claim.
 */
const lookedUp = (t: TermOf<"gather">, value: Term, c: Context): Bounded => {
  const [rows, index] = t.args;
  const at = c.of(index);
  const off = total(at, c);
  const values = tableOf(rows);
  const known = viewed(c.of(rows), value, (e) => gather(e, at.value, t.batch));
  const { lo, hi } = endsOf(values === undefined ? rows : table(values));
  const ended = hi - lo < Infinity;
  const size = (): Term => constant(Math.max(-lo, hi, LEAST), t.shape);
  const entries = ended ? { ...known, size } : known;
  if (isChosen(index, c) || (off !== undefined && (values === undefined || !ascends(values)))) {
    // A device may hold whole numbers near by instead.
    const far = !ended ? NO_CLAIM : above(hi - lo + (rows.tag === "table" ? 0 : 1));
    return { ...entries, error: sum(known.error, constant(far, t.shape)) };
  }
  if (values === undefined || off === undefined) return entries;
  const nearby = gather(table(besides(values, Math.max).map(above)), at.value);
  const gap = off.tag === "constant" && off.value <= 1
    ? nearby
    : map("select", map("less", 1, off), above(widestGap(values)), nearby);
  return { ...entries, error: sum(known.error, map("mul", off, gap)) };
};

/** One entry a node kind: what is known of a term from what is known of its operands. */
const BOUND: Reading<[Term, Context], Bounded> = {
  input: (t, value, c) => {
    if (isPacked(t.dtype)) {
      const error = c.codes ? constant(0.5, t.shape) : undefined;
      return { ...exact(value), error, size: () => constant(DTYPES[t.dtype].max, t.shape) };
    }
    // A device may read a subnormal f32 as 0.
    const growth = c.machine !== undefined && t.dtype === "f32" ? 1 : 0;
    return { value, error: undefined, growth, size: () => map("add", abs(value), LEAST) };
  },
  constant: (_t, value) => exact(value),
  table: (_t, value) => exact(value),
  iota: (_t, value) => exact(value),
  map: mapBound,
  cast: castBound,
  reshape: (t, value, c) => viewed(c.of(t.args[0]), value, (e) => reshape(e, t.shape)),
  permute: (t, value, c) => viewed(c.of(t.args[0]), value, (e) => permute(e, t.axes)),
  broadcast: (t, value, c) => viewed(c.of(t.args[0]), value, (e) => broadcast(e, t.shape, t.axes)),
  slice: (t, value, c) =>
    viewed(c.of(t.args[0]), value, (e) => sliced(e, t.axis, t.start, t.shape[t.axis])),
  concat: (t, value, c) => {
    const args = t.args.map(c.of);
    return {
      value,
      error: args.every((a) => a.error === undefined)
        ? undefined
        : concat(args.map((a) => a.error ?? zero(a.value)), t.axis),
      growth: Math.max(...args.map((a) => a.growth)),
      size: () => concat(args.map((a) => a.size()), t.axis),
    };
  },
  gather: lookedUp,
  contract: contraction,
  fold: (t, value, c) =>
    t.monoid === "softmax" ? softmaxBound(t, value, c) : foldBound(t, value, c),
  routine: (t, value, c) => {
    // Factors count as they were made, whatever the arithmetic; what they were made of may not be coded.
    const below = topological(t.args);
    const off = below.some((a) =>
      (isLossy(a) && !c.parameters.has(a)) || (c.codes && a.tag === "input" && isPacked(a.dtype))
    );
    if (!off) return exact(value);
    throw new ValueError("bound", `${t.routine} of a value that is off has no bound`);
  },
};

/** Are there roundings to stored types that are made wherever they are read? */
const makesCodes = (root: Term, held: ReadonlySet<Term> = new Set()): boolean => {
  const seen = new Set<Term>(held);
  const visit = (t: Term): boolean => {
    if (seen.has(t)) return false;
    seen.add(t);
    return isLossy(t) || argsOf(t).some(visit);
  };
  return visit(root);
};

/** Looks at terms on demand, each once. */
const contextOf = (root: Term, known: Known): Context => {
  const { stored, codes = false, sharp = true, machine } = known;
  const seen = new Map<Term, Bounded>();
  const c: Context = {
    machine,
    codes,
    sharp,
    again: machine !== undefined && makesCodes(root, known.held) ? 3 : 1,
    parameters: new Set([...parametersOf(root), ...known.exact ?? []]),
    of: (t) => {
      const old = seen.get(t);
      if (old !== undefined) return old;
      const value = stored?.get(t) ?? withArgs(t, argsOf(t).map((a) => c.of(a).value));
      const made = read(BOUND, t, value, c);
      seen.set(t, made);
      return made;
    },
  };
  return c;
};

/**
 * |program − ideal program| ≤ this, element by element: a term of the program's shape, evaluated and compiled beside
 * it. The ideal is the same term without its roundings to stored types, with scales as stored and saturation kept.
 */
export const boundOf = (root: Term, known: Known = {}): Term => {
  const c = contextOf(root, known);
  const error = total(c.of(root), c);
  return error === undefined ? zero(root) : inflated(error, known.machine);
};

/**
 * 2-norm of program − ideal program along axes ≤ this: of the shape without them. Sharper than the norm
 * of {@link boundOf} where errors come through a linear map, and exact for a rotation.
 */
export const normBoundOf = (root: Term, axes: readonly number[], known: Known = {}): Term => {
  const c = contextOf(root, known);
  const at = axes.map((a) => a < 0 ? a + root.shape.length : a).sort((a, b) => a - b);
  const b = c.of(root);
  const arithmetic = total({ ...b, error: undefined }, c);
  const norm = sum(normOf(root, at, c), arithmetic && normOver(arithmetic, at));
  if (norm !== undefined) return inflated(norm, known.machine);
  return constant(0, root.shape.filter((_, i) => !at.includes(i)));
};
