/**
 * The bound of a softmax-weighted mean o = Σ p·v, hence of attention (`docs/numerics.md` has the proofs).
 *
 * Scores off by at most ε turn weights p into p·e^δ / Σ p·e^δ, |δ| ≤ ε. Of all values between lo and hi
 * with mean o, those that lie at the two ends are moved most:
 *
 * ```text
 * a = o + η − lo,  b = hi − o − η,  w = 1 − e^(−2ε)        η: what o is off with these weights, Σ p·ev
 * o* − o ≤ η + a·b·w / (a + b·(1 − w)),  and ≤ η + (hi − lo)·E[ε·e^ε] / E[e^(−ε)]
 * ```
 *
 * and the same downwards. The first never leaves the range of the values; the second is sharper where
 * the tokens that are far off carry little weight. Without `sharp` the range is that of what codes can
 * hold, which takes no pass over them, and the second is left out.
 * @module
 */
import { constant, foldBy, map } from "../core/build.ts";
import { MASKED } from "../core/monoid.ts";
import { summedDims } from "../core/shape.ts";
import { spreadTo } from "../core/spread.ts";
import type { Term, TermOf } from "../core/term.ts";
import { gamma, type Machine } from "../read/machine.ts";
import { weightShare } from "../read/weights.ts";
import { codeRange, codeSpan } from "./codes.ts";
import {
  abs,
  type Bounded,
  type Context,
  type Error,
  LEAST,
  made,
  rounded,
  sum,
  times,
  total,
} from "./known.ts";
import { countTerm, growthTerm } from "./labelled.ts";

type Fold = TermOf<"fold">;

/** Exponents beyond which a weight is 0 on a device; its own rounding counts up to here. */
const EXPONENTS = 104;
/** ε from where on only the range of the values says anything. */
const WIDE = 40;

/** Labels of the result by the operand that has them. */
interface Places {
  readonly rows: readonly string[];
  readonly channels: readonly string[];
}

const placesOf = ({ labels: { args: [s, v], out } }: Fold): Places => ({
  rows: out.filter((l) => s.includes(l)),
  channels: out.filter((l) => v.includes(l)),
});

/** A term along some labels of the result, repeated along the others. */
const spread = (t: Fold, x: Term, own: readonly string[]): Term =>
  spreadTo(x, own, t.labels.out, t.shape);

/** Folds over the tokens of the scores or of the values, along the result. */
const overScores = (t: Fold, x: Term): Term => {
  const { rows } = placesOf(t);
  return spread(t, foldBy("max", "max", { args: [t.labels.args[0]], out: rows }, [x]), rows);
};
const overValues = (t: Fold, monoid: "max" | "extent", project: string, x: Term): Term => {
  const { channels } = placesOf(t);
  const folded = foldBy(monoid, project, { args: [t.labels.args[1]], out: channels }, [x]);
  return spread(t, folded, channels);
};

/** Scores where they are no mask: what a dead token is off does not count. */
const unmasked = (scores: Term): Term => {
  if (scores.tag !== "map" || scores.op !== "select") return scores;
  const [, live, dead] = scores.args;
  return dead.tag === "constant" && dead.value <= MASKED ? live : scores;
};

/** What the weights of a device may be off as an exponent, and the sums of o and l relative to values. */
const deviceSums = (t: Fold, m: Machine): { exponent: number; sums: Term; grown: Term } => {
  const n = countTerm(summedDims(t.labels, t.args));
  const relative = (m.merges + 1) * m.exp(0) + m.exp(EXPONENTS) + gamma(m, m.merges + 2);
  const twice = 2 * gamma(m, 8) + m.div;
  const sums = typeof n === "number"
    ? constant(2 * gamma(m, 2 * n + 4) + twice, [])
    : map("add", times(growthTerm(m, n, 2, 4), 2), twice);
  return {
    exponent: m.u * EXPONENTS + relative / (1 - relative),
    sums,
    grown: map("add", times(sums, 8), 1 + 2 ** -8),
  };
};

/** Means of functions of the scores alone. */
const meanOf = (t: Fold, x: Term): Term => {
  const { rows } = placesOf(t);
  const labels = { args: [t.labels.args[0], t.labels.args[0]], out: rows };
  return spread(t, foldBy("softmax", "mean", labels, [t.args[0], x]), rows);
};

/** w = 1 − e^(−2ε), not below what arithmetic makes of it. */
const turned = (eps: Term): Term =>
  map(
    "min",
    times(eps, 2),
    map("sub", 1, times(map("exp", times(map("min", eps, WIDE), -2)), 1 - 2 ** -16)),
  );

/** a·b·w / (a + b·(1 − w)) for a mean that lies a above lo, of a range. */
const moved = (a: Term, range: Term, w: Term): Term => {
  const inside = map("max", map("min", a, range), 0);
  const b = map("add", map("sub", range, inside), times(range, 2 ** -22));
  const least = map("add", inside, map("mul", b, map("sub", 1, w)));
  return map("div", map("mul", map("mul", inside, b), w), least);
};

/**
 * The bound of a softmax fold. `value` is its value; scores and values are read as the program
 * has them, so that the means share the pass over its tokens.
 */
export const softmaxBound = (t: Fold, value: Term, c: Context): Bounded => {
  const [scores, values] = t.args.map(c.of);
  const [sv, vv] = [scores.value, values.value];
  const fold: Fold = { ...t, args: [sv, vv] };
  const m = c.machine;
  const device = m && deviceSums(fold, m);
  const es = sum(scores.error, rounded(c.of(unmasked(t.args[0])), c));
  const eps = device === undefined
    ? es
    : map("add", es ?? constant(0, sv.shape), device.exponent * (1 + 2 ** -10));
  const ev = total(values, c);
  const carried = ev && foldBy("softmax", "mean", t.labels, [sv, ev]);
  if (eps === undefined) return { value, error: carried, growth: 0, size: () => abs(value) };
  const held = c.sharp ? undefined : codeRange(vv);
  const [lo, hi] = (["lo", "hi"] as const).map((p) =>
    overValues(fold, "extent", p, held?.[p] ?? vv)
  );
  const largest = ev && overValues(fold, "max", "max", ev);
  const reach = device && overValues(fold, "max", "max", values.size());
  const span = device && t.weights !== undefined ? codeSpan(vv) : undefined;
  const coarse = span &&
    times(overValues(fold, "max", "max", span), weightShare(t.weights!) * (1 + 2 ** -10));
  // What o is off with the weights it has: values, sums, and both ends of the range as computed.
  const own = sum(
    carried && (device ? map("mul", carried, device.grown) : carried),
    reach && device && map("mul", map("add", reach, LEAST), map("add", device.sums, 2 ** -20)),
    coarse,
  );
  const off = (x: Term): Term => own === undefined ? x : map("add", x, own);
  const twice = largest && times(largest, 2 * c.again);
  const between = map("max", map("sub", hi, lo), 0);
  const range = sum(
    between,
    twice,
    device && reach && times(reach, 2 ** -20),
  )!;
  const end = (x: Term): Term => largest === undefined ? x : map("add", x, times(largest, c.again));
  const most = overScores(fold, eps);
  const w = turned(most);
  const ways = [map("sub", value, lo), map("sub", hi, value)]
    .map((x) => moved(off(end(x)), range, w));
  const near = map("min", eps, WIDE);
  const share = map(
    "div",
    meanOf(fold, map("mul", near, map("exp", near))),
    meanOf(fold, map("exp", map("neg", near))),
  );
  const mild = map(
    "select",
    map("less", most, WIDE),
    device ? map("mul", map("add", share, 2 ** -60), device.grown) : share,
    1,
  );
  const farther = map("max", ways[0], ways[1]);
  const error: Error = c.sharp ? map("min", farther, map("mul", range, mild)) : farther;
  return device
    ? { ...made(value, off(error), 0, c), size: () => reach! }
    : { value, error: off(error), growth: 0, size: () => abs(value) };
};
