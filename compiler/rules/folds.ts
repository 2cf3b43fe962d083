/**
 * Rules of folds: what is the same for all tokens, or for all channels, leaves the fold.
 * @module
 */
import { constant, contractBy, foldBy, map } from "../../dsl/core/build.ts";
import { concat } from "../../dsl/core/pieces.ts";
import { spreadTo } from "../../dsl/core/spread.ts";
import { isDynamic } from "../../dsl/core/shape.ts";
import { argsOf, type Term, type TermOf, withArgs } from "../../dsl/core/term.ts";
import { markOf } from "../lower/marks.ts";
import { streamRefusal, streamRoles } from "../lower/roles.ts";
import { cutter, jointsOf, piecesOf } from "./cut.ts";
import { isLess, type Labelled, relabel, renamed, smallFactor } from "./labels.ts";

/** Labels of the values of a softmax fold along which they differ, if they are repeated or constant. */
const heldLabels = (values: Term, axis: readonly string[]): readonly string[] | undefined =>
  values.tag === "broadcast"
    ? values.axes.map((a) => axis[a])
    : values.tag === "constant"
    ? []
    : undefined;

/** An operand of a fold and its axis of tokens. */
interface Along {
  readonly term: Term;
  readonly axis: number;
}

/** Scores and values cut at the same places, pieces of pieces too. */
const apart = ([scores, values]: readonly [Along, Along]): readonly [Term, Term] => {
  const sizes = jointsOf([scores, values]);
  if (sizes === undefined) return [scores.term, values.term];
  const made = piecesOf(sizes).map((piece) => {
    const cut = cutter(piece);
    const own = ({ term, axis }: Along): Along => ({ term: cut(term, axis), axis });
    return apart([own(scores), own(values)]);
  });
  // Values in one piece may leave the fold as they are.
  const whole = jointsOf([values]) === undefined;
  return [
    concat(made.map(([s]) => s), scores.axis),
    whole ? values.term : concat(made.map(([, v]) => v), values.axis),
  ];
};

/** Tokens in pieces: scores and values side by side at the same places, a fold over each piece. */
export const concatInFold = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax" || streamRefusal(term) !== undefined) {
    return undefined;
  }
  const { args: [s, v], out } = term.labels;
  const [token] = s.filter((l) => !out.includes(l));
  const [scores, values] = term.args;
  const operands = apart([
    { term: scores, axis: s.indexOf(token) },
    { term: values, axis: v.indexOf(token) },
  ]);
  return withArgs(term, operands);
};

/** A factor that is the same for all tokens. */
export const scaleOutOfFold = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax") return undefined;
  const [scores, values] = term.args;
  if (values.tag !== "map" || values.op !== "mul") return undefined;
  const { out, args: [, axis] } = term.labels;
  for (const [k, factor] of values.args.entries()) {
    const held = heldLabels(factor, axis);
    if (held === undefined || held.some((l) => !out.includes(l))) continue;
    const inner = relabel(term as Labelled, term.labels, [scores, values.args[1 - k]]);
    return factor.tag === "constant"
      ? map("mul", inner, factor.value)
      : map("mul", inner, spreadTo(argsOf(factor)[0], held, out, term.shape));
  }
  return undefined;
};

/** A small factor of the values that does not change along tokens. */
export const factorOutOfFold = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax") return undefined;
  const [scores, values] = term.args;
  if (values.tag !== "contract") return undefined;
  const token = term.labels.args[1].filter((l) => !term.labels.out.includes(l));
  const small = smallFactor(values, term.labels.args[1], token);
  if (small < 0) return undefined;
  const { args, gone } = renamed(values, term.labels.args[1]);
  const large = args[1 - small];
  if (token.some((l) => args[small].includes(l)) || gone.some((l) => !large.includes(l))) {
    return undefined;
  }
  const out = [
    ...term.labels.out.filter((l) => large.includes(l) || term.labels.args[0].includes(l)),
    ...gone,
  ];
  const inner = foldBy("softmax", term.project, { args: [term.labels.args[0], large], out }, [
    scores,
    values.args[1 - small],
  ]);
  const before = values.args.map((a, i) => [args[i], a] as const);
  if (!isLess([[out, inner], before[small]], before)) return undefined;
  return contractBy({ args: [out, args[small]], out: term.labels.out }, inner, values.args[small]);
};

/** Groups of heads whose values are stored apart: each by itself, with its own scores. */
export const headsApart = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax") return undefined;
  const [scores, values] = term.args;
  if (values.tag !== "concat") return undefined;
  const { args: [rows, axis], out } = term.labels;
  const label = axis[values.axis];
  const [from, to] = [rows.indexOf(label), out.indexOf(label)];
  if (from < 0 || to < 0) return undefined;
  const groups = piecesOf(values.args.map((a) => a.shape[values.axis])).map((piece, i) =>
    relabel(term as Labelled, term.labels, [cutter(piece)(scores, from), values.args[i]])
  );
  return concat(groups, to);
};

/** Factors of a product. */
const factors = (t: Term): readonly Term[] =>
  t.tag === "map" && t.op === "mul" ? t.args.flatMap(factors) : [t];

/** A scale of each token goes to the large factor of a product, so that the small one may leave. */
export const scaleToLargeFactor = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax") return undefined;
  const [scores, values] = term.args;
  const all = factors(values);
  const product = all.find((t): t is Term & TermOf<"contract"> => t.tag === "contract");
  if (product === undefined || product === values) return undefined;
  const names = term.labels.args[1];
  const token = names.filter((l) => !term.labels.out.includes(l));
  const small = smallFactor(product, names, token);
  if (small < 0) return undefined;
  const { args, out } = product.labels;
  const [own, large] = [args[1 - small], product.args[1 - small]];
  const others = all.filter((t) => t !== product);
  const inside = others.filter((t): t is Term & TermOf<"broadcast"> =>
    t.tag === "broadcast" &&
    (isDynamic(t.args[0].shape) || t.axes.some((a) => token.includes(names[a]))) &&
    t.axes.every((a) => own.includes(out[a]) && !args[small].includes(out[a]))
  );
  if (inside.length === 0 || all.length !== others.length + 1) return undefined;
  const scaled = inside.reduce(
    (x, t) => map("mul", x, spreadTo(t.args[0], t.axes.map((a) => out[a]), own, large.shape)),
    large,
  );
  const operands = small === 0 ? [product.args[0], scaled] : [scaled, product.args[1]];
  const inner: Term = contractBy(product.labels, operands[0], operands[1]);
  const made = others.filter((t) => !inside.includes(t as Term & TermOf<"broadcast">))
    .reduce((x, t) => map("mul", x, t), inner);
  return relabel(term as Labelled, term.labels, [scores, made]);
};

/** Values that repeat along channels or rows: a mean of what is repeated. */
export const broadcastOutOfFold = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax") return undefined;
  const [scores, values] = term.args;
  const { out, args: [ofScores, axis] } = term.labels;
  const held = heldLabels(values, axis);
  if (held === undefined) return undefined;
  const tokens = axis.filter((l) => !out.includes(l));
  const own = tokens.every((l) => held.includes(l)) ? held : tokens;
  if (own.length === axis.length) return undefined;
  const shape = own.map((l) => values.shape[axis.indexOf(l)]);
  const rest = out.filter((l) => ofScores.includes(l) || own.includes(l));
  const mean = (of: Term): Term => {
    const inner = relabel(term as Labelled, { args: [ofScores, own], out: rest }, [scores, of]);
    return spreadTo(inner, rest, out, term.shape);
  };
  if (values.tag === "constant") return mean(constant(values.value, shape));
  const [s] = argsOf(values);
  if (own === held) return mean(s);
  // The same for every token: what is left is Σ p, which is 1, or 0 where all are masked.
  const total = mean(constant(1, shape));
  return held.some((l) => !out.includes(l))
    ? undefined
    : map("mul", total, spreadTo(s, held, out, term.shape));
};

/** A maximum, an extent or a sum of values that repeat: of each once. */
export const repeatedOutOfFold = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid === "softmax" || term.monoid === "gram") return undefined;
  const [values] = term.args;
  if (values.tag !== "broadcast") return undefined;
  const { out, args: [axis] } = term.labels;
  const held = values.axes.map((a) => axis[a]);
  const gone = axis.filter((l) => !held.includes(l) && !out.includes(l));
  const counts = gone.map((l) => values.shape[axis.indexOf(l)]);
  // An axis may turn out empty; a sum over it would have to know how long it is.
  if (counts.some((d) => typeof d === "string")) return undefined;
  const rest = out.filter((l) => held.includes(l));
  const inner = foldBy(term.monoid, term.project, { args: [held], out: rest }, values.args);
  const times = term.monoid === "sum" ? counts.reduce<number>((n, d) => n * (d as number), 1) : 1;
  const whole = times === 1 ? inner : map("mul", inner, times);
  return spreadTo(whole, rest, out, term.shape);
};

/** Does a factor of the values that differs along channels leave the fold? */
export const leavesScaled = (term: Term): boolean =>
  scaleOutOfFold(term) !== undefined &&
  argsOf(argsOf(term)[1]).every((factor) => factor.tag !== "constant");

/** Does a mean become smaller outside, a number times one included? */
const leaves = (m: Term): boolean => {
  if (broadcastOutOfFold(m) !== undefined || factorOutOfFold(m) !== undefined || leavesScaled(m)) {
    return true;
  }
  const scaled = scaleOutOfFold(m);
  return scaled !== undefined && leaves(argsOf(scaled)[0]);
};

/** Does a product leave the fold, so that what is summed is smaller? */
const leavesAsFactor = (m: Term): boolean => {
  if (factorOutOfFold(m) !== undefined) return true;
  const moved = scaleToLargeFactor(m);
  if (moved !== undefined) return leavesAsFactor(moved);
  const scaled = scaleOutOfFold(m);
  return scaled !== undefined && leavesAsFactor(argsOf(scaled)[0]);
};

/** The terms of a sum, each with its sign. */
const addends = (t: Term): { term: Term; sign: 1 | -1 }[] => {
  if (t.tag !== "map" || (t.op !== "add" && t.op !== "sub")) return [{ term: t, sign: 1 }];
  const [a, b] = t.args.map(addends);
  const turned = b.map(({ term, sign }) => ({
    term,
    sign: t.op === "add" ? sign : -sign as 1 | -1,
  }));
  return [...a, ...turned];
};

/** Is the value 0 but at one place of a token, as an outlier is? */
const isSparse = (t: Term): boolean => factors(t).some((f) => markOf(f) !== undefined);

/** Marks among the terms of a sum: a mean of them by itself, where rows of queries share no tile of values. */
const marksOutOfSum = (fold: Term & TermOf<"fold">, mean: (of: Term) => Term): Term | undefined => {
  if (streamRefusal(fold) !== undefined || streamRoles([fold]).query !== undefined) {
    return undefined;
  }
  const terms = addends(fold.args[1]);
  const [sparse, rest] = [true, false].map((is) =>
    terms.filter(({ term }) => isSparse(term) === is)
  );
  const [first, ...others] = rest;
  const [mark, ...marks] = sparse;
  if (first === undefined || mark === undefined || first.sign < 0) return undefined;
  const total = (of: Term, more: typeof terms): Term =>
    more.reduce((sum, { term, sign }) => map(sign > 0 ? "add" : "sub", sum, term), of);
  // The marks have the sign of the first of them.
  const turned = marks.map(({ term, sign }) => ({ term, sign: (sign * mark.sign) as 1 | -1 }));
  const [dense, apart] = [mean(total(first.term, others)), mean(total(mark.term, turned))];
  return map(mark.sign > 0 ? "add" : "sub", dense, apart);
};

/** Products among the terms of a sum: a mean of each by itself, and one of all the others. */
const productsOutOfSum = (values: Term, mean: (of: Term) => Term): Term | undefined => {
  const terms = addends(values);
  const [own, rest] = [true, false].map((is) =>
    terms.filter(({ term }) => leavesAsFactor(mean(term)) === is)
  );
  const [first, ...others] = rest;
  if (own.length === 0 || first === undefined || first.sign < 0) return undefined;
  const total = (of: Term, more: typeof terms): Term =>
    more.reduce((sum, { term, sign }) => map(sign > 0 ? "add" : "sub", sum, term), of);
  const apart = own.map(({ term, sign }) => ({ term: mean(term), sign }));
  return total(mean(total(first.term, others)), apart);
};

/** Products among the terms of a sum that is scaled, where all of them leave: each with the scale. */
const productsOutOfScaled = (values: Term, mean: (of: Term) => Term): Term | undefined => {
  const all = factors(values);
  const at = all.findIndex((t) => addends(t).length > 1);
  if (at < 0) return undefined;
  const scaled = (term: Term): Term =>
    mean(all.filter((_, i) => i !== at).reduce((x, t) => map("mul", x, t), term));
  const [first, ...others] = addends(all[at]).map(({ term, sign }) => ({
    term: scaled(term),
    sign,
  }));
  return first.sign > 0 && [first, ...others].every(({ term }) => leavesAsFactor(term))
    ? others.reduce((sum, { term, sign }) => map(sign > 0 ? "add" : "sub", sum, term), first.term)
    : undefined;
};

/** A sum of values of which each becomes smaller outside, or some as products: a mean of each. */
export const sumOutOfFold = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax") return undefined;
  const [scores, values] = term.args;
  const mean = (of: Term): Term => relabel(term as Labelled, term.labels, [scores, of]);
  if (values.tag === "map" && values.op === "mul") return productsOutOfScaled(values, mean);
  if (values.tag !== "map" || (values.op !== "add" && values.op !== "sub")) return undefined;
  const means = values.args.map(mean);
  return means.every(leaves)
    ? map(values.op, means[0], means[1])
    : productsOutOfSum(values, mean) ?? marksOutOfSum(term, mean);
};
