/**
 * Fixed-point products: where a device multiplies 16-bit integers, a query meets raw codes as
 * integers. This changes the meaning by a known amount, so it is written into the term:
 *
 * Before: `q·c`; after: `s·(rint(q/s)·c)` with s = max|q| / limit (32767, or less where
 * the sum would pass 32 bits). Sums that meet a zero point or a minimum take the same rounded query, so
 * a score is off by at most ½·s·Σ|k|: 2⁻¹⁶ of max|q| for each value of k, the level of f16. The weights
 * of the values of a softmax fold are marked likewise (`weights: 16`), a chunk of tokens at a time.
 * @module
 */
import { DTYPES } from "../../dsl/core/dtype.ts";
import { broadcast, cast, contractBy, foldBy, map } from "../../dsl/core/build.ts";
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
import { codesBehind } from "../lower/fixed.ts";
import { linearTerms } from "../lower/linear.ts";
import { streamRefusal, streamRoles } from "../lower/roles.ts";
import { isCached } from "./labels.ts";

/** Largest sum of an integer accumulator. */
const SUM = 2 ** 31 - 1;

/** A product of something that is not cached with raw codes of a cache, as integers. */
const fixQuery = (
  term: Term & TermOf<"contract">,
  rounded: Map<Term, Term>,
): Term | undefined => {
  const codes = term.args.findIndex((a, i) => {
    const axis = term.labels.args[i];
    const other = term.labels.args[1 - i];
    const last = other[other.length - 1];
    return !term.labels.out.includes(last) && axis.includes(last) &&
      codesBehind(a, axis.indexOf(last)) !== undefined;
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
  const stored = codesBehind(term.args[codes], own.indexOf(other[other.length - 1]))!;
  const largest = DTYPES[stored.dtype].max;
  const limit = Math.min(32767, Math.floor(SUM / (count * largest)));
  const top = foldBy("max", "max", { args: [other], out: free }, [map("abs", query)]);
  const step = map("div", top, limit);
  const places = other.map((l, i) => free.includes(l) ? i : -1).filter((i) => i >= 0);
  const spread = broadcast(step, query.shape, places);
  const integers = cast(map("div", query, spread), "i16");
  const args = codes === 0 ? [term.args[0], integers] : [integers, term.args[1]];
  rounded.set(query, map("mul", integers, spread));
  const product = contractBy(term.labels, args[0], args[1]);
  return map("mul", product, spreadTo(step, free, term.labels.out, product.shape));
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

/** Can the values of a streaming fold be added up as integers? */
const fixableValues = (term: Term & TermOf<"fold">): boolean => {
  const { members: [{ channels, values }] } = streamRoles([term]);
  if (channels.length === 0) return false;
  const axis = values.indexOf(channels[channels.length - 1]);
  const form = linearTerms(term.args[1], axis);
  return form.scaled.length === 1 && codesBehind(form.scaled[0].rest, axis) !== undefined;
};

/** Products of scores and weights of values of every streaming fold, as integers. */
export const fixedPoint = (
  outputs: Readonly<Record<string, Term>>,
): Readonly<Record<string, Term>> => {
  const rounded = new Map<Term, Term>();
  const inScores = new Map<Term, Term>();
  const scores = (term: Term): Term => {
    const known = inScores.get(term);
    if (known !== undefined) return known;
    const here = term.tag === "fold" && term.monoid === "softmax"
      ? go(term)
      : withArgs(term, argsOf(term).map(scores));
    const out = here.tag === "contract" ? fixQuery(here, rounded) ?? here : here;
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
      const fields = {
        monoid: term.monoid,
        project: term.project,
        labels: term.labels,
        args: [ofScores, go(exchanged(term.args[1], new Map([[term.args[0], ofScores]])))],
        ...(fixableValues(term as Term & TermOf<"fold">) ? { weights: 16 as const } : {}),
      };
      out = intern("fold", fields, term.shape, term.dtype);
    } else out = withArgs(term, argsOf(term).map(go));
    done.set(term, out);
    return out;
  };
  return Object.fromEntries(Object.entries(outputs).map(([k, t]) => [k, go(t)]));
};
