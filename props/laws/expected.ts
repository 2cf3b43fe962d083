/**
 * The law of expected errors: over independent trials, the mean of squared errors is the mean of what was
 * expected of them, within {@link Z} standard errors and the model's own bias.
 *
 * Two kinds of trials. In a *real* one a program rounds and is compared with its ideal: it asks whether
 * roundings are uniform noise. In a *simulated* one the noise is drawn, so the model holds by
 * construction: it asks whether noise is carried on as it should be.
 * @module
 */
import { codecVariance } from "../../dsl/codec/expected.ts";
import type { Codec } from "../../dsl/codec/codec.ts";
import { input, map } from "../../dsl/core/build.ts";
import { DTYPES } from "../../dsl/core/dtype.ts";
import { MASKED } from "../../dsl/core/monoid.ts";
import { slopesOf } from "../../dsl/core/gaps.ts";
import { argsOf, type Shape, type Term, topological } from "../../dsl/core/term.ts";
import { idealOf, isLossy, parametersOf } from "../../dsl/bound/ideal.ts";
import { type Env, evalAll, step, type Value } from "../../dsl/read/eval.ts";
import { varianceOf } from "../../dsl/expected/expected.ts";

/** Mean squared error of one trial, and what was expected. */
export interface Trial {
  readonly measured: number;
  readonly expected: number;
}

/** By how much of the expected error the measured one may be off for reasons of the model. */
export interface Bias {
  readonly below: number;
  readonly above: number;
}

/** The model is exact: small noise that is drawn as the model says. */
export const EXACT: Bias = { below: 0, above: 0 };

/**
 * Standard errors that chance may explain. Trials are independent, so the standard error of the mean of
 * their differences is that of the sample: by Student's distribution, 29 degrees of freedom or more, 7
 * of them are exceeded once in ten million times.
 */
export const Z = 7;

/** Measured over expected, and its standard error. */
export const ratioOf = (trials: readonly Trial[]): { ratio: number; error: number } => {
  const n = trials.length;
  const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / n;
  const expected = mean(trials.map((t) => t.expected));
  const differences = trials.map((t) => t.measured - t.expected);
  const off = mean(differences);
  const squares = differences.reduce((s, d) => s + (d - off) ** 2, 0);
  return {
    ratio: expected === 0 ? (off === 0 ? 1 : Infinity) : 1 + off / expected,
    error: expected === 0 ? 0 : Math.sqrt(squares / (n - 1) / n) / expected,
  };
};

/** Does the mean measured error agree with the expected one? */
export const agrees = (trials: readonly Trial[], { below, above }: Bias): boolean => {
  const { ratio, error } = ratioOf(trials);
  return ratio >= 1 - below - Z * error && ratio <= 1 + above + Z * error;
};

const mean = (xs: Float64Array): number => xs.reduce((a, b) => a + b, 0) / xs.length;
const meanSquare = (a: Float64Array): number => mean(a.map((x) => x * x));
const minus = (a: Float64Array, b: ArrayLike<number>): Float64Array => a.map((x, i) => x - b[i]);

/** What makes an expected error of the one that is read; another one is wrong on purpose. */
export type Changed = (variance: Term) => Term;
const asRead: Changed = (t) => t;
/** Noise as if it were step²/3. */
export const fourfold: Changed = (t) => map("mul", t, 4);

/** A codec's reconstructions of tensors of one shape. */
export const codecTrials = (
  codec: Codec,
  shape: readonly number[],
  tensors: readonly Float64Array[],
  changed = asRead,
): Trial[] => {
  const x = input("x", shape, "f32");
  const parts = codec.encode(x);
  const terms = [codec.decode(parts, shape), changed(codecVariance(codec, x, parts))];
  return tensors.map((data) => {
    const [back, expected] = evalAll(terms, { sizes: {}, inputs: { x: data } });
    return { measured: meanSquare(minus(back.data, data)), expected: mean(expected.data) };
  });
};

/** A program against its ideal, an environment a trial. */
export const programTrials = (
  term: Term,
  envs: readonly Env[],
  changed = asRead,
): Trial[] => {
  const terms = [term, idealOf(term), changed(varianceOf(term))];
  return envs.map((env) => {
    const [actual, ideal, expected] = evalAll(terms, env);
    return { measured: meanSquare(minus(actual.data, ideal.data)), expected: mean(expected.data) };
  });
};

/** Is nothing of the term off, whatever is rounded? */
const isExact = (t: Term): boolean => {
  const v = varianceOf(t);
  return v.tag === "constant" && v.value === 0;
};

/** Is the term a smooth function of its noise? Else no first order says what small noise does. */
export const isSmooth = (root: Term): boolean =>
  topological([root]).every((t) => {
    if (t.tag === "gather") return isExact(t.args[1]);
    if (t.tag === "routine") return t.args.every(isExact);
    if (t.tag !== "map") return true;
    if (t.op === "less" || t.op === "hadamard" || t.op === "binade") return t.args.every(isExact);
    if (t.op === "select") return isExact(t.args[0]);
    if (t.op === "div") return isExact(t.args[1]);
    return t.op !== "sqrt" || isExact(t.args[0]);
  });

/** Where a program's values lie and what its roundings add: what simulations share. */
interface Base {
  readonly env: Env;
  readonly order: readonly Term[];
  readonly values: ReadonlyMap<Term, Value>;
  /** Roundings that count as stored. */
  readonly parameters: ReadonlySet<Term>;
  /** Standard deviation of the noise that a rounding adds. */
  readonly noises: ReadonlyMap<Term, Float64Array>;
  /** Operands of choices in the ideal program. */
  readonly ideals: ReadonlyMap<Term, readonly Value[]>;
}

/** Does the node choose among values? The ideal program's choice counts: what it clamps is clamped. */
const isChoice = (t: Term): boolean =>
  t.tag === "map"
    ? t.op === "max" || t.op === "min"
    : t.tag === "fold" && (t.monoid === "max" || t.monoid === "extent");

const isInside = (t: Term, x: number): boolean =>
  t.tag !== "cast" || (x >= DTYPES[t.dtype].min && x <= DTYPES[t.dtype].max);

const baseOf = (root: Term, env: Env): Base => {
  const order = topological([root]);
  const parameters = parametersOf(root);
  const found = evalAll(order, env);
  const values = new Map(order.map((t, i) => [t, found[i]]));
  const rounded = order.filter((t) => isLossy(t) && !parameters.has(t));
  const noises = rounded.map((t): [Term, Float64Array] => {
    const [arg] = argsOf(t);
    const [all, below] = evalAll([varianceOf(t), varianceOf(arg)], env);
    const x = values.get(arg)!.data;
    // What is not carried on from below is the rounding's own.
    const own = all.data.map((v, i) => Math.max(v - (isInside(t, x[i]) ? below.data[i] : 0), 0));
    return [t, own.map((v, i) => v > 2 ** -40 * all.data[i] ? Math.sqrt(v) : 0)];
  });
  const ideals = order.filter(isChoice).map((t): [Term, readonly Value[]] => [
    t,
    evalAll(argsOf(t).map((a) => idealOf(a)), env),
  ]);
  return { env, order, parameters, values, noises: new Map(noises), ideals: new Map(ideals) };
};

/** The program's values where each rounding adds `size` times its noise, drawn by `uniform` from [0, 1). */
const simulate = (base: Base, root: Term, uniform: () => number, size: number): Float64Array => {
  const moved = new Map<Term, Value>();
  for (const t of base.order) {
    const value = base.values.get(t)!;
    const args = argsOf(t).map((a) => moved.get(a)!);
    if (argsOf(t).every((a, i) => args[i] === base.values.get(a)) && !base.noises.has(t)) {
      moved.set(t, value);
    } else if (base.parameters.has(t)) moved.set(t, value);
    else if (isChoice(t)) {
      const ideal = base.ideals.get(t)!;
      const there = ideal.map((v, i) => {
        const actual = base.values.get(argsOf(t)[i])!.data;
        return { shape: v.shape, data: v.data.map((x, k) => x + args[i].data[k] - actual[k]) };
      });
      const [from, to] = [ideal, there].map((at) => step(t, base.env, at).data);
      moved.set(t, { shape: value.shape, data: value.data.map((v, i) => v + to[i] - from[i]) });
    } else if (t.tag === "gather" && t.args[0].tag === "table") {
      const slopes = slopesOf(t.args[0].values);
      const index = base.values.get(t.args[1])!.data;
      const data = value.data.map((v, i) => v + slopes[index[i]] * (args[1].data[i] - index[i]));
      moved.set(t, { shape: value.shape, data });
    } else if (!isLossy(t)) moved.set(t, step(t, base.env, args));
    else {
      const x = base.values.get(argsOf(t)[0])!.data;
      const noise = base.noises.get(t);
      const data = value.data.map((v, i) => {
        const carried = isInside(t, x[i]) ? args[0].data[i] - x[i] : 0;
        const own = noise === undefined ? 0 : noise[i] * Math.sqrt(12) * (uniform() - 0.5);
        return v + carried + size * own;
      });
      moved.set(t, { shape: value.shape, data });
    }
  }
  return moved.get(root)!.data;
};

/** Of the largest number that a program makes: what its arithmetic in f64 may lose. The ends of a clamp are none. */
const DUST = 2 ** -46;

const largestOf = ({ values }: Base): number =>
  [...values].filter(([t]) => t.tag !== "constant").reduce(
    (top, [, { data }]) => data.reduce((m, v) => v > MASKED ? Math.max(m, Math.abs(v)) : m, top),
    0,
  );

/**
 * Simulated trials of a program, its noise made `size` times smaller: to the first order, so is its error.
 */
export const simulatedTrials = (
  term: Term,
  env: Env,
  { uniform, size, count, changed = asRead }: {
    readonly uniform: () => number;
    readonly size: number;
    readonly count: number;
    readonly changed?: Changed;
  },
): Trial[] => {
  const base = baseOf(term, env);
  const [{ data }] = evalAll([changed(varianceOf(term))], env);
  const actual = base.values.get(term)!.data;
  const dust = DUST * largestOf(base);
  return Array.from({ length: count }, () => {
    const moved = simulate(base, term, uniform, size);
    const moves = moved.map((v, i) => Math.abs(v - actual[i]) < dust ? 0 : (v - actual[i]) / size);
    return { measured: meanSquare(moves), expected: mean(data) };
  });
};

/** A tensor as a program reads it from its codec. */
export const rebuilt = (codec: Codec, name: string, shape: Shape): Term =>
  codec.decode(codec.encode(input(name, shape, "f32")), shape);
