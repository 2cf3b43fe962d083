/**
 * Derivatives of contractions and folds: sums over labels give sums over other labels.
 *
 * ```text
 * out = Σ a·b            ā = Σ ḡ·b                     over the labels that a lacks
 * out = Σ x              x̄ = ḡ repeated
 * out = max x            x̄ = ḡ / n where x is one of the n largest, else 0; extents alike
 * G = Σ x xᵀ             x̄ = (ḡ + ḡᵀ) x
 * out = Σ p v            v̄ = Σ p·ḡ,  s̄ = p·(ḡ·v − ḡ·out),  p = softmax s, 0 where s is masked
 * ```
 * @module
 */
import { contractBy, foldBy, map } from "../core/build.ts";
import { MASKED } from "../core/monoid.ts";
import { spreadTo } from "../core/spread.ts";
import type { Dim, Shape, Term, TermOf } from "../core/term.ts";
import type { Shares } from "./maps.ts";

type Axes = readonly string[];

/** A tensor with a label an axis. */
interface Labelled {
  readonly of: Term;
  readonly axes: Axes;
}

/** Σ a·b over the labels that `axes` lacks, repeated along those that only `axes` has. */
const onto = (a: Labelled, b: Labelled, axes: Axes, shape: Shape): Term => {
  const own = axes.filter((l) => a.axes.includes(l) || b.axes.includes(l));
  const product = contractBy({ args: [a.axes, b.axes], out: own }, a.of, b.of);
  return spreadTo(product, own, axes, shape);
};

/** Shares of both operands of a contraction. */
export const contractShares = ({ args, labels }: TermOf<"contract">, g: Term): Shares => {
  const [a, b] = args.map((of, i): Labelled => ({ of, axes: labels.args[i] }));
  const result = { of: g, axes: labels.out };
  return [onto(result, b, a.axes, a.of.shape), onto(result, a, b.axes, b.of.shape)];
};

/** The largest or smallest share what they get: `lost` says which of x is not one of them. */
const winners = (
  { args: [x], labels: { args: [axes], out } }: TermOf<"fold">,
  g: Term,
  lost: (x: Term) => Term,
): Shares => {
  const spread = (s: Term): Term => spreadTo(s, out, axes, x.shape);
  const wins = map("sub", 1, lost(x));
  const count = foldBy("sum", "sum", { args: [axes], out }, [wins]);
  return [map("mul", wins, spread(map("div", g, count)))];
};

const largest = (t: TermOf<"fold">, g: Term): Shares => {
  const [axes] = t.labels.args;
  const top = spreadTo(t as unknown as Term, t.labels.out, axes, t.args[0].shape);
  return winners(t, g, (x) => map("less", x, top));
};

const smallest = (t: TermOf<"fold">, g: Term): Shares => {
  const [axes] = t.labels.args;
  const least = spreadTo(t as unknown as Term, t.labels.out, axes, t.args[0].shape);
  return winners(t, g, (x) => map("less", least, x));
};

const gramShares = (
  { args: [x], labels: { args: [axes], out } }: TermOf<"fold">,
  g: Term,
): Shares => {
  const [one, two] = out.slice(-2);
  const twin = { of: x, axes: axes.map((l) => l === one ? two : l) };
  const flipped = [...out.slice(0, -2), two, one];
  const sides = [out, flipped].map((own) => onto({ of: g, axes: own }, twin, axes, x.shape));
  return [map("add", sides[0], sides[1])];
};

/** Weights of a softmax over the labels that are not in `rows`; masked scores weigh nothing. */
const weightsOf = ({ of: s, axes }: Labelled, rows: Axes): Term => {
  const over = { args: [axes], out: rows };
  const spread = (x: Term): Term => spreadTo(x, rows, axes, s.shape);
  const above = map("sub", s, spread(foldBy("max", "max", over, [s])));
  const weights = map("select", map("less", MASKED, s), map("exp", above), 0);
  return map("div", weights, spread(foldBy("sum", "sum", over, [weights])));
};

const softmaxShares = (t: TermOf<"fold">, g: Term): Shares => {
  const [s, v] = t.args.map((of, i): Labelled => ({ of, axes: t.labels.args[i] }));
  const { out } = t.labels;
  // Labels that only the values have are folded too: every score counts once for each.
  const more = v.axes.filter((l) => !out.includes(l) && !s.axes.includes(l));
  const axes = [...s.axes, ...more];
  const shape: readonly Dim[] = [...s.of.shape, ...more.map((l) => v.of.shape[v.axes.indexOf(l)])];
  const scores = { of: spreadTo(s.of, s.axes, axes, shape), axes };
  const rows = out.filter((l) => s.axes.includes(l));
  const p = weightsOf(scores, rows);
  const result = { of: g, axes: out };
  const each = onto(result, v, axes, shape);
  const mean = contractBy({ args: [out, out], out: rows }, g, t as unknown as Term);
  const moved = map("mul", p, map("sub", each, spreadTo(mean, rows, axes, shape)));
  return [
    more.length === 0 ? moved : foldBy("sum", "sum", { args: [axes], out: s.axes }, [moved]),
    onto({ of: p, axes }, result, v.axes, v.of.shape),
  ];
};

/** Shares of the operands of a fold, by its monoid and what is read of it. */
export const foldShares = (t: TermOf<"fold">, g: Term): Shares => {
  switch (t.monoid) {
    case "sum":
      return [spreadTo(g, t.labels.out, t.labels.args[0], t.args[0].shape)];
    case "max":
      return largest(t, g);
    case "extent":
      return t.project === "lo" ? smallest(t, g) : largest(t, g);
    case "gram":
      return gramShares(t, g);
    case "softmax":
      return softmaxShares(t, g);
  }
};
