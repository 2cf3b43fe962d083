/**
 * Products of a score with what changes slowly along tokens and what changes with each: the slow factor meets
 * the query, once for a run of tokens, and what is left of each token is summed up together.
 *
 * ```text
 * before:  a·(c d − s t) + b·(s d + c t)            c, s of the token, d, t of the run that it lies in
 * after:   (a d + b t)·c + (b d − a t)·s            in brackets: made once a run (`Plan.paced`)
 *          row t of (a d + b t)·C + …                where tokens of a run share the rows of a table C
 * ```
 * So a mean that turns with its place costs each token half a multiply-add a channel: tokens as far from the
 * middle of a run to either side share cosines, and sines but for the sign.
 * How often a factor changes is read off its term (`lower/pace.ts`). Only for single queries of a device whose
 * groups have one lane: a block of queries shares what is made of a token, and would make this for each query.
 * @module
 */
import { broadcast, cast, contractBy, gather, map } from "../../dsl/core/build.ts";
import { rowsIn } from "../../dsl/core/digits.ts";
import { sliced } from "../../dsl/core/pieces.ts";
import { spreadTo } from "../../dsl/core/spread.ts";
import { knownCount } from "../../dsl/core/shape.ts";
import {
  argsOf,
  exchanged,
  type Term,
  type TermOf,
  topological,
  withArgs,
} from "../../dsl/core/term.ts";
import { LONG_PRODUCT } from "../heavy.ts";
import { isRun, paceOf } from "../lower/pace.ts";
import { streamRefusal, streamRoles } from "../lower/roles.ts";
import { isCached } from "./labels.ts";

type Fold = Term & TermOf<"fold">;

/** Products that a factor is taken apart to, at most. */
const MOST = 16;

/** ± a product of factors. */
interface Product {
  readonly minus: boolean;
  readonly factors: readonly Term[];
}

/** A term as a sum of products, its sums multiplied out. */
const productsOf = (t: Term): readonly Product[] => {
  if (t.tag !== "map") return [{ minus: false, factors: [t] }];
  const negated = (list: readonly Product[]): Product[] =>
    list.map(({ minus, factors }) => ({ minus: !minus, factors }));
  const all = (): (readonly Product[])[] => t.args.map(productsOf);
  switch (t.op) {
    case "neg":
      return negated(all()[0]);
    case "add":
      return all().flat();
    case "sub": {
      const [a, b] = all();
      return [...a, ...negated(b)];
    }
    case "mul": {
      const [a, b] = all();
      return a.flatMap((x) =>
        b.map((y) => ({ minus: x.minus !== y.minus, factors: [...x.factors, ...y.factors] }))
      );
    }
    default:
      return [{ minus: false, factors: [t] }];
  }
};

const times = (factors: readonly Term[]): Term => factors.reduce((a, b) => map("mul", a, b));

/** A product of a score in parts: what varies with each token, and what meets it for a run of them. */
interface Part {
  readonly minus: boolean;
  /** What is the same for all that is summed, of the product's shape. */
  readonly scales: readonly Term[];
  /** What varies with each token, with the labels of the product. */
  readonly quick: Term;
  readonly labels: readonly string[];
  /** What is the same for a run of tokens, of the product's shape and then what is summed. */
  readonly slow: Term;
  readonly slowLabels: readonly string[];
}

/** A product of a query with what is made of places, in such parts; nothing where that is no gain. */
const partsOf = (t: TermOf<"contract">, token: number): readonly Part[] | undefined => {
  const { args, out } = t.labels;
  const which = args.findIndex((axis) => axis.includes(out[token]));
  const [own, other] = [args[which], args[1 - which]];
  const [placed, query] = [t.args[which], t.args[1 - which]];
  const gone = own.filter((l) => !out.includes(l));
  const sizes = gone.map((l) => placed.shape[own.indexOf(l)]);
  if (other.includes(out[token]) || isCached(placed) || knownCount(sizes) < LONG_PRODUCT) {
    return undefined;
  }
  if (own.some((l) => l !== out[token] && !other.includes(l))) return undefined;
  const at = own.indexOf(out[token]);
  // One number a token, however often it changes: a product is scaled by it.
  const isScale = (f: Term): f is Term & TermOf<"broadcast"> =>
    f.tag === "broadcast" && f.axes.includes(at) && !f.axes.some((a) => gone.includes(own[a]));
  const isSlow = (f: Term): boolean =>
    !isScale(f) && (isRun(paceOf(f, at)) || paceOf(f, at) === Infinity);
  const products = productsOf(placed);
  const gains = products.some(({ factors }) =>
    factors.some((f) => !isScale(f) && isRun(paceOf(f, at)))
  );
  const lone = products.some(({ factors }) => factors.every((f) => isSlow(f) || isScale(f)));
  if (!gains || products.length > MOST || lone) return undefined;
  const slowLabels = [...out, ...gone];
  const shape = [...t.shape, ...sizes];
  const spread = (x: Term, labels: readonly string[]): Term =>
    spreadTo(x, labels, slowLabels, shape);
  return products.map(({ minus, factors }) => ({
    minus,
    scales: factors.filter(isScale).map((f) =>
      spreadTo(f.args[0], f.axes.map((a) => own[a]), out, t.shape)
    ),
    quick: times(
      factors.filter((f) => !isSlow(f) && !isScale(f)).sort((a, b) => a.id - b.id),
    ),
    labels: own,
    slow: times([
      spread(query, other),
      ...factors.filter(isSlow).map((f) => spread(f, own)),
    ]),
    slowLabels,
  }));
};

/** Terms that are added up, each with its sign. */
const addends = (t: Term, minus = false): { readonly term: Term; readonly minus: boolean }[] =>
  t.tag === "map" && (t.op === "add" || t.op === "sub")
    ? [...addends(t.args[0], minus), ...addends(t.args[1], t.op === "sub" ? !minus : minus)]
    : [{ term: t, minus }];

/** ± a ± b …, the first of those with a plus ahead. */
const total = (list: readonly { readonly term: Term; readonly minus: boolean }[]): Term => {
  const [first, ...rest] = [...list].sort((a, b) => Number(a.minus) - Number(b.minus));
  const start = first.minus ? map("neg", first.term) : first.term;
  return rest.reduce((a, { term, minus }) => map(minus ? "sub" : "add", a, term), start);
};

/** A name that no label has. */
const ROW = "row of a table";

/**
 * A product with a row that each token looks up, where rows are fewer than the tokens of a run: the products with
 * all rows are made once a run, and each token looks up its own.
 */
const lookedUp = (
  slow: Term,
  slowLabels: readonly string[],
  quick: Term,
  labels: readonly string[],
  out: readonly string[],
): Term | undefined => {
  if (quick.tag !== "gather" || quick.batch || quick.args[1].shape.length !== 1) return undefined;
  const [rows, at] = quick.args;
  const token = out.indexOf(labels[0]);
  const found = rowsIn(at);
  if (found === undefined || token < 0 || 2 * found.count > paceOf(slow, token)) return undefined;
  const own = sliced(rows, 0, found.start, found.count);
  const args = [slowLabels, [ROW, ...labels.slice(1)]];
  const products = contractBy({ args, out: [...out, ROW] }, slow, own);
  const each = broadcast(cast(found.row, "u32"), products.shape.slice(0, -1), [token]);
  return gather(products, each, out.length);
};

/** Parts of several products, those that meet the same as one. */
const together = (parts: readonly Part[], shape: Term["shape"]): Term[] => {
  const keyOf = ({ quick, scales, labels, slowLabels }: Part): string =>
    [quick.id, ...labels.map((l) => slowLabels.indexOf(l)), ...scales.map((s) => s.id)].join();
  return [...new Set(parts.map(keyOf))].map((key) => {
    const own = parts.filter((p) => keyOf(p) === key);
    const [{ quick, labels, slowLabels, scales }] = own;
    const slow = total(own.map(({ slow, minus }) => ({ term: slow, minus })));
    const out = slowLabels.slice(0, shape.length);
    const made = lookedUp(slow, slowLabels, quick, labels, out) ??
      contractBy({ args: [slowLabels, labels], out }, slow, quick);
    return times([made, ...scales]);
  });
};

/** Terms whose axes are those of their operands. */
const GONE_INTO: readonly Term["tag"][] = ["map", "cast", "concat"];

/** Scores with such products taken apart and put together again; `token` is the axis of the tokens. */
const paced = (scores: Term, token: number): Term => {
  const done = new Map<Term, Term>();
  const go = (t: Term): Term => {
    const known = done.get(t);
    if (known !== undefined) return known;
    const parts: Part[] = [];
    const rest = addends(t).flatMap(({ term, minus }) => {
      const own = term.tag === "contract" ? partsOf(term, token) : undefined;
      if (own === undefined) return [{ term, minus }];
      parts.push(...own.map((p) => ({ ...p, minus: p.minus !== minus })));
      return [];
    });
    const made = parts.length === 0
      ? GONE_INTO.includes(t.tag) ? withArgs(t, argsOf(t).map(go)) : t
      : total([
        ...rest.map(({ term, minus }) => ({ term: term === t ? term : go(term), minus })),
        ...together(parts, t.shape).map((term) => ({ term, minus: false })),
      ]);
    done.set(t, made);
    return made;
  };
  return go(scores);
};

/** Streaming folds by their scores: those over the same ones are one kernel. */
const foldsOf = (roots: readonly Term[]): ReadonlyMap<Term, readonly Fold[]> => {
  const out = new Map<Term, Fold[]>();
  for (const t of topological(roots)) {
    if (t.tag !== "fold" || t.monoid !== "softmax" || streamRefusal(t) !== undefined) continue;
    const [scores] = t.args;
    out.set(scores, [...out.get(scores) ?? [], t as Fold]);
  }
  return out;
};

/** Every streaming fold of single queries with the slow factors of its scores once a run of tokens. */
export const pacedScores = (
  outputs: Readonly<Record<string, Term>>,
): Readonly<Record<string, Term>> => {
  const given = new Map<Term, Term>();
  for (const [scores, folds] of foldsOf(Object.values(outputs))) {
    const roles = streamRoles(folds);
    if (roles.query !== undefined) continue;
    given.set(scores, paced(scores, roles.scores.indexOf(roles.token)));
  }
  return Object.fromEntries(Object.entries(outputs).map(([k, t]) => [k, exchanged(t, given)]));
};
