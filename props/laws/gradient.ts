/**
 * The law of gradients: `gradient(loss)` is the derivative of the loss in which every rounding is replaced
 * by its ideal plus what it rounded off, as central differences in f64 see it.
 *
 * Held along one direction of all f32 inputs. Differences of steps h, h/2 and h/4 must come closer to each
 * other, and then the last two say how far the last one is off; the roundings of evaluating are added. No
 * claim is made where a choice (a comparison, a largest element, a mask) is not the same at all points:
 * there is a kink between them.
 * @module
 */
import { contractBy, input, map } from "../../dsl/core/build.ts";
import { DTYPES } from "../../dsl/core/dtype.ts";
import { between } from "../../dsl/core/gaps.ts";
import { countOf } from "../../dsl/core/shape.ts";
import { MASKED } from "../../dsl/core/monoid.ts";
import { spreadTo } from "../../dsl/core/spread.ts";
import { argsOf, type Term, type TermOf, topological, withArgs } from "../../dsl/core/term.ts";
import { isLossy } from "../../dsl/bound/ideal.ts";
import { gradient } from "../../dsl/grad/gradient.ts";
import { unrounded } from "../../dsl/grad/lookup.ts";
import { type Env, evalAll } from "../../dsl/read/eval.ts";
import { F64 } from "../../dsl/read/machine.ts";
import { rounding } from "../../dsl/read/rounding.ts";
import { normals } from "../arbitraries.ts";
import type { Sample } from "../terms.ts";

/** A program whose roundings are held, and what they rounded off. */
export interface Frozen {
  readonly term: Term;
  readonly env: Env;
}

/** Every rounding as its ideal plus an input that holds what it rounded off in this environment. */
export const frozen = (root: Term, env: Env): Frozen => {
  const inputs: Record<string, ArrayLike<number>> = { ...env.inputs };
  const done = new Map<Term, Term>();
  const off = (actual: Term, ideal: Term): Term => {
    const [a, b] = evalAll([actual, ideal], env);
    const name = `off${Object.keys(inputs).length}`;
    inputs[name] = a.data.map((x, i) => x - b.data[i]);
    return input(name, actual.shape, "f32");
  };
  const visit = (t: Term): Term => {
    const known = done.get(t);
    if (known !== undefined) return known;
    const made = change(t);
    done.set(t, made);
    return made;
  };
  const change = (t: Term): Term => {
    if (t.tag === "gather" && t.args[0].tag === "table") {
      const [{ values }, index] = [t.args[0], unrounded(t.args[1])];
      return map("add", between(values, visit(index)), off(t, between(values, index)));
    }
    // An index chooses; it is no number to differentiate.
    if (t.tag === "gather") return withArgs(t, [visit(t.args[0]), t.args[1]]);
    if (!isLossy(t)) return withArgs(t, argsOf(t).map(visit));
    const [x] = argsOf(t);
    const { min, max } = DTYPES[t.dtype];
    const ideal = (a: Term): Term => t.tag === "cast" ? map("min", map("max", a, min), max) : a;
    return map("add", ideal(visit(x)), off(t, ideal(x)));
  };
  const term = visit(root);
  return { term, env: { ...env, inputs } };
};

/** Choices that a program makes, as terms: the same on both sides of a point where it is smooth. */
const choicesOf = (root: Term): Term[] =>
  topological([root]).flatMap((t): Term[] => {
    if (t.tag === "fold") {
      if (t.monoid === "softmax") return [map("less", MASKED, t.args[0])];
      if (t.monoid !== "max" && t.monoid !== "extent") return [];
      const [x] = t.args;
      const end = spreadTo(t as Term, t.labels.out, t.labels.args[0], x.shape);
      return [t.project === "lo" ? map("less", end, x) : map("less", x, end)];
    }
    if (t.tag !== "map") return [];
    const [a, b] = t.args;
    switch (t.op) {
      case "max":
      case "min":
      case "less":
        return [map("less", a, b), map("less", b, a)];
      case "abs":
        return [map("less", a, 0), map("less", 0, a)];
      case "select":
        return [map("less", 0, map("abs", a))];
      case "div":
        return [map("less", 0, map("abs", b))];
      case "sqrt":
        return [map("less", 0, a)];
      case "binade":
        return [t];
      default:
        return [];
    }
  });

const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  Array.from(a).every((x, i) => x === b[i]);

/** A comparison, or why there is none. */
export type Compared =
  | {
    readonly tag: "compared";
    /** |gradient − difference| over what may be between them. */
    readonly excess: number;
    /** What may be between them. */
    readonly allowed: number;
    /** The derivative along the direction. */
    readonly slope: number;
  }
  | { readonly tag: "kink" | "coarse" | "no inputs" | "no bound" };

/** The f32 inputs below a term. */
export const movedOf = (root: Term): TermOf<"input">[] =>
  topological([root]).filter((t): t is Term & TermOf<"input"> =>
    t.tag === "input" && t.dtype === "f32"
  );

/** Σ w·t, with w given under its name. */
export const weighed = (t: Term, name = "w"): Term => {
  const labels = t.shape.map((_, i) => `l${i}`);
  return contractBy({ args: [labels, labels], out: [] }, t, input(name, t.shape, "f32"));
};

/**
 * Inputs near those given, where choices are seldom a tie, and a direction: of so few bits that a point
 * moved along it has no rounding.
 */
export const placed = (
  { term, sizes, inputs }: Sample,
  seed: number,
): { readonly env: Env; readonly direction: Record<string, number[]> } => {
  const next = normals(seed);
  const all: Record<string, ArrayLike<number>> = { ...inputs };
  const direction: Record<string, number[]> = {};
  const whole = (x: number, unit: number): number => Math.round(x / unit) * unit;
  for (const { name } of movedOf(term)) {
    all[name] = inputs[name].map((v) => whole(v * (1 + next() / 64) + next() / 64, 2 ** -24));
    direction[name] = inputs[name].map(() => whole(next(), 2 ** -6));
  }
  all.w = Array.from({ length: countOf(term.shape, sizes) }, next);
  return { env: { sizes, inputs: all }, direction };
};

/** How far the gradient of Σ w·t along a direction is from differences; w is among the inputs. */
export const compareAlong = (
  t: Term,
  env: Env,
  direction: Readonly<Record<string, ArrayLike<number>>>,
  step = 2 ** -14,
): Compared => {
  const moved = movedOf(t);
  if (moved.length === 0) return { tag: "no inputs" };
  const loss = weighed(t);
  const gradients = evalAll(gradient(loss, moved), env);
  let [slope, size] = [0, 0];
  gradients.forEach((g, i) => {
    const along = direction[moved[i].name];
    g.data.forEach((x, k) => {
      slope += x * along[k];
      size += Math.abs(x * along[k]);
    });
  });
  const held = frozen(loss, env);
  const choices = choicesOf(held.term);
  const at = (h: number) => {
    const inputs: Record<string, ArrayLike<number>> = { ...held.env.inputs };
    for (const { name } of moved) {
      inputs[name] = Array.from(env.inputs[name], (v, k) => v + h * direction[name][k]);
    }
    const here = { ...held.env, inputs };
    return { here, chosen: evalAll(choices, here) };
  };
  const middle = at(0);
  const differences: number[] = [];
  let off = Infinity;
  for (const h of [step, step / 2, step / 4]) {
    const sides = [at(h), at(-h)];
    const smooth = sides.every(({ chosen }) =>
      chosen.every((c, i) => same(c.data, middle.chosen[i].data))
    );
    if (!smooth) return { tag: "kink" };
    const [up, down] = sides.map(({ here }) => rounding([held.term], here, F64)[0]);
    differences.push((up.value.data[0] - down.value.data[0]) / (2 * h));
    off = (up.error[0] + down.error[0]) / (2 * h);
  }
  const [first, second, third] = differences;
  // Of evaluating the gradient: a small part of its terms, which cancel.
  const rounded = 3 * off + 2 ** -40 * size;
  if (!Number.isFinite(rounded)) return { tag: "no bound" };
  const [coarse, fine] = [Math.abs(first - second), Math.abs(second - third)];
  if (fine > coarse / 2 + rounded) return { tag: "coarse" };
  const allowed = fine + rounded;
  return { tag: "compared", excess: Math.abs(slope - third) - allowed, allowed, slope };
};
