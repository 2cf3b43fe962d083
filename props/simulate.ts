/**
 * A device that rounds: f32 arithmetic as loosely as WGSL allows, in plain loops. It exists to break
 * `dsl/read/rounding.ts` where no GPU is at hand: sums in any order, denormals flushed or kept, exp,
 * quotients and roots off by what the machine permits, softmax by running rescale in splits.
 * @module
 */
import { castTo } from "../dsl/core/dtype.ts";
import { MASKED } from "../dsl/core/monoid.ts";
import { OPS } from "../dsl/core/ops.ts";
import {
  argsOf,
  type Labels,
  type Tag,
  type Term,
  type TermOf,
  topological,
} from "../dsl/core/term.ts";
import {
  each,
  type Env,
  labelSizes,
  labelStrides,
  offset,
  step,
  type Value,
} from "../dsl/read/eval.ts";
import { F32 } from "../dsl/read/machine.ts";

/** How a device rounds. `noise` gives numbers in [−1, 1], the share of a permitted error. */
export interface Whim {
  readonly flush: boolean;
  readonly order: "forward" | "backward" | "pairs";
  readonly splits: number;
  readonly noise: () => number;
}

type Round = (x: number) => number;

const roundOf = (whim: Whim): Round => (x) => {
  const y = Math.fround(x);
  return whim.flush && Math.abs(y) < F32.tiny ? 0 : y;
};

const expOf = (whim: Whim, r: Round): Round => (x) =>
  r(Math.exp(x) * (1 + 0.7 * whim.noise() * F32.exp(x)));

const sum = (whim: Whim, r: Round, xs: readonly number[]): number => {
  if (whim.order === "pairs" && xs.length > 2) {
    const half = xs.length >> 1;
    return r(sum(whim, r, xs.slice(0, half)) + sum(whim, r, xs.slice(half)));
  }
  const ordered = whim.order === "backward" ? [...xs].reverse() : xs;
  return ordered.reduce((a, x) => r(a + x), 0);
};

/** Visits every element of the result with the places its terms have in each operand. */
const gathered = (
  labels: Labels,
  args: readonly Value[],
  visit: (place: number, terms: readonly (readonly number[])[]) => void,
): void => {
  const sizes = labelSizes(labels, args);
  const gone = [...sizes.keys()].filter((l) => !labels.out.includes(l));
  const strides = args.map((a, i) => labelStrides(labels.args[i], a, [...labels.out, ...gone]));
  let place = 0;
  each(labels.out.map((l) => sizes.get(l)!), (i) => {
    const terms: number[][] = [];
    each(
      gone.map((l) => sizes.get(l)!),
      (k) => terms.push(strides.map((s) => offset(s, [...i, ...k]))),
    );
    visit(place++, terms);
  });
};

interface Partial {
  readonly m: number;
  readonly l: number;
  readonly o: number;
}

const softmax = (whim: Whim, r: Round, tokens: readonly (readonly [number, number])[]): number => {
  const exp = expOf(whim, r);
  const merge = (a: Partial, b: Partial): Partial => {
    const m = Math.max(a.m, b.m);
    const [fa, fb] = [a.l === 0 ? 0 : exp(r(a.m - m)), b.l === 0 ? 0 : exp(r(b.m - m))];
    return { m, l: r(r(fa * a.l) + r(fb * b.l)), o: r(r(fa * a.o) + r(fb * b.o)) };
  };
  const empty: Partial = { m: MASKED, l: 0, o: 0 };
  const parts = Array.from({ length: whim.splits }, () => empty);
  tokens.forEach(([s, v], i) => {
    if (s > MASKED) parts[i % whim.splits] = merge(parts[i % whim.splits], { m: s, l: 1, o: v });
  });
  const { l, o } = parts.reduce(merge, empty);
  return l === 0 ? 0 : r(o / l * (1 + 0.7 * whim.noise() * F32.div));
};

const folded = (
  whim: Whim,
  r: Round,
  t: TermOf<"contract"> | TermOf<"fold">,
  args: readonly Value[],
  out: Value,
): void => {
  const data = args.map((a) => a.data);
  if (t.tag === "fold" && t.monoid === "gram") {
    const row = t.labels.args[0];
    const labels = {
      args: [row, [...row.slice(0, -1), `${row[row.length - 1]}'`]],
      out: t.labels.out,
    };
    return gathered(labels, [args[0], args[0]], (at, terms) => {
      out.data[at] = sum(whim, r, terms.map(([i, j]) => r(data[0][i] * data[0][j])));
    });
  }
  gathered(t.labels, args, (at, terms) => {
    if (t.tag === "contract") {
      out.data[at] = sum(
        whim,
        r,
        terms.map(([i, j]) => r(data[0][i] * data[1][j])),
      );
    } else if (t.monoid === "sum") out.data[at] = sum(whim, r, terms.map(([i]) => data[0][i]));
    else if (t.monoid === "softmax") {
      out.data[at] = softmax(
        whim,
        r,
        terms.map(([i, j]): [number, number] => [data[0][i], data[1][j]]),
      );
    }
  });
};

const mapped = (whim: Whim, r: Round, t: TermOf<"map">, x: readonly number[]): number => {
  if (t.op === "exp") return expOf(whim, r)(x[0]);
  const loose = t.op === "div" ? F32.div : t.op === "sqrt" ? F32.sqrt : 0;
  const exact = (OPS[t.op].apply as (...xs: number[]) => number)(...x);
  return r(exact * (1 + 0.7 * whim.noise() * loose));
};

/** Kinds that read their operands as floats; the others move words. */
const COMPUTES: readonly Tag[] = ["map", "cast", "contract", "fold"];

/** The value a device with these whims gives. */
export const simulate = (term: Term, env: Env, whim: Whim): Value => {
  const r = roundOf(whim);
  const known = new Map<Term, Value>();
  for (const t of topological([term])) {
    const args = argsOf(t).map((a): Value => {
      const { shape, data } = known.get(a)!;
      return { shape, data: COMPUTES.includes(t.tag) ? data.map(r) : data };
    });
    const value = step(t, env, args);
    if (t.tag === "map") {
      value.data.forEach((_, i) => value.data[i] = mapped(whim, r, t, args.map((a) => a.data[i])));
    }
    if (t.tag === "cast") {
      value.data.forEach((_, i) => value.data[i] = castTo(t.dtype, args[0].data[i]));
    }
    if (t.tag === "contract" || t.tag === "fold") folded(whim, r, t, args, value);
    known.set(t, { shape: value.shape, data: t.dtype === "f32" ? value.data.map(r) : value.data });
  }
  return known.get(term)!;
};
