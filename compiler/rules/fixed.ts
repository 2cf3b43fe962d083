/**
 * Fixed-point products: where a device multiplies small integers, a query meets raw codes as
 * integers. This changes the meaning by a known amount, so it is written into the term:
 *
 * Before: `q·c`; after: `s·(rint(q/s)·c)` with s = max|q| / limit (32767, or less where
 * the sum would pass 32 bits). Sums that meet a zero point or a minimum take the same rounded query, so
 * a score is off by at most ½·s·Σ|k|: 2⁻¹⁶ of max|q| for each value of k, the level of f16. The weights
 * of the values of a softmax fold are marked likewise (`weights: 16`), a chunk of tokens at a time.
 *
 * With 8 bits the limit is 127, for a query and for weights (`weights: 8`, a few tokens at a time). Only
 * codes of at most 4 bits take it: sums of their products stay within 16 bits, which is what makes it fast.
 * Wider codes and entries of codebooks keep 16 bits.
 * @module
 */
import { DTYPES, type Fixed } from "../../dsl/core/dtype.ts";
import { broadcast, cast, contractBy, foldBy, gather, map, table } from "../../dsl/core/build.ts";
import { concat } from "../../dsl/core/pieces.ts";
import { spreadTo } from "../../dsl/core/spread.ts";
import {
  argsOf,
  exchanged,
  intern,
  rebuilt,
  type Term,
  type TermOf,
  withArgs,
} from "../../dsl/core/term.ts";
import { LOOKED } from "../ir/expr.ts";
import type { WeightBits } from "../../dsl/read/weights.ts";
import type { FixedBits } from "../kernel.ts";
import { codesBehind, isFixed, isNarrow } from "../lower/fixed.ts";
import { linearTerms } from "../lower/linear.ts";
import { streamRefusal, streamRoles } from "../lower/roles.ts";
import { asNumber, bare, isCached } from "./labels.ts";

type Fold = Term & TermOf<"fold">;

/** Largest sum of an integer accumulator. */
const SUM = 2 ** 31 - 1;

/** Largest entry of a codebook of keys, and of values: there 256 weights of 32767 meet it. */
const [OF_KEYS, OF_VALUES] = [4095, 255];

/** A look-up in a codebook of integers, and what one unit is worth: a power of two, so that it is exact. */
const integerEntries = (
  term: Term,
  axis: number,
  most: number,
): { entries: Term; step: number; largest: number } | undefined => {
  if (term.tag !== "gather" || term.args[0].tag !== "table") return undefined;
  const [{ values }, codes] = [term.args[0], term.args[1]];
  if (values.length > LOOKED || codesBehind(codes, axis) === undefined) return undefined;
  const top = values.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  const step = 2 ** Math.ceil(Math.log2(top / most));
  if (!(step > 2 ** -100 && step < 2 ** 100)) return undefined;
  const integers = cast(table(values.map((x) => x / step)), "i16");
  return { entries: gather(integers, codes), step, largest: Math.ceil(top / step) };
};

/** A product of something that is not cached with raw codes of a cache, as integers. */
const fixQuery = (
  term: Term & TermOf<"contract">,
  bits: FixedBits,
  rounded: Map<Term, Term>,
): Term | undefined => {
  const codes = term.args.findIndex((a, i) => {
    const axis = term.labels.args[i];
    const other = term.labels.args[1 - i];
    const last = other[other.length - 1];
    return !term.labels.out.includes(last) && axis.includes(last) &&
      (codesBehind(a, axis.indexOf(last)) ?? integerEntries(a, axis.indexOf(last), OF_KEYS)) !==
        undefined;
  });
  if (codes < 0) return undefined;
  const [own, other] = [term.labels.args[codes], term.labels.args[1 - codes]];
  const query = term.args[1 - codes];
  if (
    isCached(query) || query.dtype !== "f32" ||
    own.some((l) => !term.labels.out.includes(l) && !other.includes(l))
  ) {
    return undefined;
  }
  const free = other.filter((l) => term.labels.out.includes(l));
  const sizes = other.filter((l) => !free.includes(l)).map((l) => query.shape[other.indexOf(l)]);
  if (sizes.some((n) => typeof n === "string")) return undefined;
  const count = sizes.reduce<number>((n, d) => n * (d as number), 1);
  const axis = own.indexOf(other[other.length - 1]);
  const looked = integerEntries(term.args[codes], axis, OF_KEYS);
  const cached = looked?.entries ?? term.args[codes];
  const largest = looked?.largest ?? DTYPES[codesBehind(cached, axis)!.dtype].max;
  const dtype: Fixed = bits === 8 && isNarrow(cached, axis) ? "i8" : "i16";
  const limit = Math.min(DTYPES[dtype].max, Math.floor(SUM / (count * largest)));
  const top = foldBy("max", "max", { args: [other], out: free }, [map("abs", query)]);
  const step = map("div", top, limit);
  const places = other.map((l, i) => free.includes(l) ? i : -1).filter((i) => i >= 0);
  const spread = broadcast(step, query.shape, places);
  const integers = cast(map("div", query, spread), dtype);
  const args = codes === 0 ? [cached, integers] : [integers, cached];
  rounded.set(query, map("mul", integers, spread));
  const product = contractBy(term.labels, args[0], args[1]);
  const scaled = map("mul", product, spreadTo(step, free, term.labels.out, product.shape));
  return looked === undefined ? scaled : map("mul", scaled, looked.step);
};

/**
 * A zero point or a minimum meets the sum of the same rounded query, so that the error is that of
 * q·k and not of q·c, which is larger by the zero point.
 */
const sumsOf = (root: Term, rounded: ReadonlyMap<Term, Term>): Term =>
  rebuilt(root, (t, over) => {
    const query = t.tag === "fold" && t.monoid === "sum" ? rounded.get(t.args[0]) : undefined;
    return query === undefined ? over() : withArgs(t, [query]);
  });

/** A fold over each piece of values that lie side by side along the tokens, or nothing. */
const overPieces = (term: Fold): { axis: number; folds: readonly Fold[] } | undefined => {
  const [scores, values] = term.args;
  const { members: [{ values: labels }], token } = streamRoles([term]);
  return values.tag === "concat" && labels[values.axis] === token
    ? {
      axis: values.axis,
      folds: values.args.map((own): Fold => ({ ...term, args: [scores, bare(own)] })),
    }
    : undefined;
};

/** Where values are looked up in a codebook, they are looked up in one of integers. */
const integerValues = (term: Fold): Term => {
  const pieces = overPieces(term);
  if (pieces !== undefined) {
    return concat(pieces.folds.map((own) => asNumber(integerValues(own))), pieces.axis);
  }
  const { members: [{ channels, values }] } = streamRoles([term]);
  if (channels.length === 0) return term.args[1];
  const axis = values.indexOf(channels[channels.length - 1]);
  const { scaled } = linearTerms(term.args[1], axis);
  if (scaled.length !== 1) return term.args[1];
  const [{ rest }] = scaled;
  const looked = integerEntries(rest, axis, OF_VALUES);
  return looked === undefined
    ? term.args[1]
    : exchanged(term.args[1], new Map([[rest, map("mul", looked.entries, looked.step)]]));
};

/** In how many bits the weights of a streaming fold may be added up as integers, if they may. */
export const weightBits = (term: Fold, bits: FixedBits): { weights?: WeightBits } => {
  const pieces = overPieces(term)?.folds.flatMap((own) => weightBits(own, bits).weights ?? []);
  if (pieces !== undefined) {
    return pieces.length === 0 ? {} : { weights: pieces.includes(8) ? 8 : 16 };
  }
  const { members: [{ channels, values }] } = streamRoles([term]);
  if (channels.length === 0) return {};
  const axis = values.indexOf(channels[channels.length - 1]);
  const { scaled } = linearTerms(term.args[1], axis);
  if (scaled.length !== 1 || !isFixed(scaled[0].rest, axis)) return {};
  return { weights: bits === 8 && isNarrow(scaled[0].rest, axis) ? 8 : 16 };
};

/** Products of scores and weights of values of every streaming fold, as integers. */
export const fixedPoint = (
  outputs: Readonly<Record<string, Term>>,
  bits: FixedBits,
): Readonly<Record<string, Term>> => {
  const rounded = new Map<Term, Term>();
  const inScores = new Map<Term, Term>();
  const scores = (term: Term): Term => {
    const known = inScores.get(term);
    if (known !== undefined) return known;
    const here = term.tag === "fold" && term.monoid === "softmax"
      ? go(term)
      : withArgs(term, argsOf(term).map(scores));
    const out = here.tag === "contract" ? fixQuery(here, bits, rounded) ?? here : here;
    inScores.set(term, out);
    return out;
  };
  // Folds over the same scores keep the same scores: they share one kernel.
  const shared = new Map<Term, Term>();
  const scoresOf = (fold: TermOf<"fold">): Term => {
    const known = shared.get(fold.args[0]);
    if (known !== undefined) return known;
    const out = sumsOf(scores(fold.args[0]), rounded);
    shared.set(fold.args[0], out);
    return out;
  };
  const done = new Map<Term, Term>();
  const go = (term: Term): Term => {
    const known = done.get(term);
    if (known !== undefined) return known;
    let out: Term;
    if (term.tag === "fold" && term.monoid === "softmax" && streamRefusal(term) === undefined) {
      const ofScores = scoresOf(term);
      const values = integerValues(term as Fold);
      const fields = {
        monoid: term.monoid,
        project: term.project,
        labels: term.labels,
        args: [ofScores, go(exchanged(values, new Map([[term.args[0], ofScores]])))],
        ...weightBits({ ...term, args: [term.args[0], values] } as Fold, bits),
      };
      out = intern("fold", fields, term.shape, term.dtype);
    } else out = withArgs(term, argsOf(term).map(go));
    done.set(term, out);
    return out;
  };
  return Object.fromEntries(Object.entries(outputs).map(([k, t]) => [k, go(t)]));
};
