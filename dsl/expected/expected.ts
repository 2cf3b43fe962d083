/**
 * The expected squared error of a program with lossy nodes, as a term, beside its largest (`bound.ts`).
 *
 * The model is that of uniform noise (Bennett 1948; Widrow and Kollár, Quantization Noise, 2008): each
 * rounding adds a noise of mean 0 and variance step²/12, independent of every other. The ideal is that of
 * `idealOf`: nothing rounded, saturation kept, scales as stored. To first order in the noises
 *
 * ```text
 * a ± b   ±1 each                      A·B     B of eA, A of eB, and the product eA·eB
 * a / b   1/b, −a/b²                   √a      1/(2√a)
 * e^a     e^a                          max     1 of the larger in the ideal, else 0
 * clamp   1 inside, 0 beyond           softmax p·(v − o) of a score, p of a value
 * ```
 *
 * are the coefficients by which an error goes on (`noise.ts`, `linear.ts`). When the model holds is in
 * docs/numerics.md, "Expected error".
 * @module
 */
import { constant, foldBy, gather, map, sizeTerm, table } from "../core/build.ts";
import { startsOf } from "../core/dims.ts";
import { DTYPES, isFixedPoint, isPacked, type StoredFloat } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";
import { slopesOf } from "../core/gaps.ts";
import { MASKED } from "../core/monoid.ts";
import { gramLabels } from "../core/shape.ts";
import {
  argsOf,
  read,
  type Reading,
  type Term,
  type TermOf,
  topological,
  withArgs,
} from "../core/term.ts";
import { directOf, isLossy, isPlace, type Known, overIdeal, parametersOf } from "../bound/ideal.ts";
import { isWhole } from "../bound/whole.ts";
import { type Axis, einsum, fresh, ones, over, spread, union } from "./einsum.ts";
import {
  crossed,
  folded,
  looked,
  permuted,
  picked,
  repeated,
  reshaped,
  times,
  weighted,
} from "./linear.ts";
import { type Forms, noise, together, variance } from "./noise.ts";
import { floats, nearly, UNIFORM, wholes } from "./steps.ts";

/** Larger than any claim. */
const NO_CLAIM = 3e38;

interface Context {
  /** The value of a term in the program that runs. */
  readonly value: (t: Term) => Term;
  /** The same, had statistics (scales, minima) not been rounded. */
  readonly plain: (t: Term) => Term;
  /** The same in the ideal program. */
  readonly ideal: (t: Term) => Term;
  readonly forms: (t: Term) => Forms;
  readonly codes: boolean;
}

/** Forms times values of their shape, or what `op` makes of them. */
const by = (forms: Forms, values: Term, op: (t: Term) => Term = (t) => t): Forms =>
  forms.map((f) => {
    const { term, axes } = over(values, f.out);
    return times(f, { term: op(term), axes });
  });

const inverse = (t: Term): Term => map("div", 1, t);
const negative = (forms: Forms): Forms =>
  forms.map((f) => times(f, { term: constant(-1, []), axes: [] }));

/** A mixture of which only the variance is known. */
const mixture = (forms: Forms, squares: Term): Forms =>
  forms.length === 0 ? [] : [noise([...new Set(forms.flatMap((f) => f.from))], squares, false)];

/** Sums of products of two values that are off. */
const product = (
  [a, ea, la]: readonly [Term, Forms, readonly string[]],
  [b, eb, lb]: readonly [Term, Forms, readonly string[]],
  out: readonly string[],
): Forms =>
  together(
    ea.map((f) => weighted(f, la, b, lb, out)),
    eb.map((f) => weighted(f, lb, a, la, out)),
    ea.flatMap((f) => eb.flatMap((g) => crossed([f, la, a.shape], [g, lb, b.shape], out))),
  );

const mapForms = (t: TermOf<"map">, c: Context): Forms => {
  const [a, b] = t.args.map(c.value);
  const [ea, eb, ec] = t.args.map(c.forms);
  switch (t.op) {
    case "add":
      return together(ea, eb);
    case "sub":
      return together(ea, negative(eb));
    case "neg":
      return negative(ea);
    case "abs":
      return by(ea, a, (x) => map("select", map("less", x, 0), -1, 1));
    case "max":
    case "min": {
      if (t.args[0] === t.args[1]) return ea;
      // As the ideal chooses: what it clamps is clamped in both.
      const [x, y] = t.args.map(c.ideal);
      const [lo, hi] = t.op === "max" ? [x, y] : [y, x];
      const first = map("select", map("less", lo, hi), 0, 1);
      const second = map("select", map("less", hi, lo), 0, 1);
      return together(by(ea, first), by(eb, second));
    }
    case "mul": {
      const labels = t.shape.map((_, i) => `l${i}`);
      return product([a, ea, labels], [b, eb, labels], labels);
    }
    case "div": {
      const quotient = by(by(eb, map("div", a, b)), b, inverse);
      return together(by(ea, b, inverse), negative(quotient));
    }
    case "exp":
      return by(ea, a, (x) => map("exp", x));
    case "sqrt":
      return by(ea, a, (x) => map("div", 0.5, map("sqrt", x)));
    case "rint":
      return isWhole(t.args[0])
        ? ea
        : [...ea, noise([t.id], wholes(c.value(t.args[0]), c.plain(t.args[0])))];
    case "less":
    case "binade":
      return [];
    case "select":
      return together(
        by(eb, a, (x) => map("select", x, 1, 0)),
        by(ec, a, (x) => map("select", x, 0, 1)),
      );
    case "hadamard":
      // Signs of places that are off: the square of the largest error.
      return mixture([...ea, ...eb], constant(4, t.shape));
  }
};

const castForms = (t: TermOf<"cast">, c: Context): Forms => {
  const [arg] = t.args;
  const below = c.forms(arg);
  const { integer, min, max } = DTYPES[t.dtype];
  if (t.dtype === "f32" || isFixedPoint(t.dtype)) return below;
  const x = c.value(arg);
  const beyond = map("max", map("less", x, min), map("less", max, x));
  const inside = map("sub", 1, beyond);
  const through = by(below, inside);
  if (integer && isWhole(arg)) return through;
  const own = integer
    ? wholes(x, c.plain(arg))
    : floats(c.value(t as Term), t.dtype as StoredFloat);
  return [...through, noise([t.id], map("mul", inside, own))];
};

/** δo = Σ p·(v − o)·δs + Σ p·δv: the derivative of a mean by its weights and by its values. */
const softmaxForms = (t: TermOf<"fold">, c: Context): Forms => {
  const [scores, values] = t.args.map(c.value);
  const [es, ev] = t.args.map(c.forms);
  if (es.length + ev.length === 0) return [];
  const [sl, vl] = t.labels.args;
  const { out } = t.labels;
  const axis = new Map<string, Axis>([
    ...sl.map((l, i): [string, Axis] => [l, fresh(scores.shape[i])]),
    ...vl.map((l, i): [string, Axis] => [l, fresh(values.shape[i])]),
  ]);
  const named = (labels: readonly string[]): Axis[] => labels.map((l) => axis.get(l)!);
  const [sa, va, oa] = [sl, vl, out].map(named);
  const rows = out.filter((l) => sl.includes(l));
  const top = {
    term: foldBy("max", "max", { args: [sl], out: rows }, [scores]),
    axes: named(rows),
  };
  const raised = map("exp", map("sub", scores, spread(top, sa)));
  const term = map("select", map("less", MASKED, scores), raised, 0);
  const lone = vl.filter((l) => !sl.includes(l) && !out.includes(l));
  const total = einsum([{ term, axes: sa }, ...named(lone).map(ones)], named(rows));
  const weights = map("div", term, spread(total, sa));
  const all = union(sa, va);
  const mean = { term: c.value(t as Term), axes: oa };
  const away = map("sub", spread({ term: values, axes: va }, all), spread(mean, all));
  const slope = map("mul", spread({ term: weights, axes: sa }, all), away);
  const every = [...sl, ...vl.filter((l) => !sl.includes(l))];
  return together(
    es.map((f) => weighted(f, sl, slope, every, out)),
    ev.map((f) => weighted(f, vl, weights, sl, out)),
  );
};

const foldForms = (t: TermOf<"fold">, c: Context): Forms => {
  if (t.monoid === "softmax") return softmaxForms(t, c);
  const forms = c.forms(t.args[0]);
  if (forms.length === 0) return [];
  const [axis] = t.labels.args;
  if (t.monoid === "sum") return together(forms.map((f) => folded(f, axis, t.labels.out)));
  const a = c.value(t.args[0]);
  if (t.monoid !== "gram") {
    // The ideal's largest element (or those that are as large) hands on its error, the others none.
    const x = c.ideal(t.args[0]);
    const axes = x.shape.map(fresh);
    const kept = t.labels.out.map((l) => axes[axis.indexOf(l)]);
    const best = { term: foldBy(t.monoid, t.project, t.labels, [x]), axes: kept };
    const chosen = nearly(x, spread(best, axes));
    return together(forms.map((f) => weighted(f, axis, chosen, axis, t.labels.out)));
  }
  const { args: [one, twin], out } = gramLabels(t.labels);
  return product([a, forms, one], [a, forms, twin], out);
};

/** One entry a node kind. */
const EXPECTED: Reading<[Context], Forms> = {
  input: (t, c) => c.codes && isPacked(t.dtype) ? [noise([t.id], constant(UNIFORM, t.shape))] : [],
  constant: () => [],
  table: () => [],
  iota: () => [],
  map: mapForms,
  cast: castForms,
  reshape: (t, c) => c.forms(t.args[0]).map((f) => reshaped(f, t.args[0].shape, t.shape)),
  permute: (t, c) => c.forms(t.args[0]).map((f) => permuted(f, t.axes)),
  broadcast: (t, c) => c.forms(t.args[0]).map((f) => repeated(f, t.shape, t.axes)),
  slice: (t, c) =>
    c.forms(t.args[0]).map((f) =>
      picked(f, t.axis, t.axis + 1, [t.shape[t.axis]], sizeTerm(t.start))
    ),
  concat: (t, c) => {
    const before = startsOf(t.args.map((a) => a.shape[t.axis])).map(sizeTerm);
    return together(
      ...t.args.map((a, i) =>
        c.forms(a).map((f) =>
          picked(f, t.axis, t.axis + 1, [t.shape[t.axis]], map("neg", before[i]))
        )
      ),
    );
  },
  // A row that may be another row: no claim.
  gather: (t, c) => {
    const [rows, index] = t.args;
    if (c.forms(index).length === 0) {
      return c.forms(rows).map((f) => looked(f, c.value(index), t.batch));
    }
    if (rows.tag === "table") {
      return by(c.forms(index), gather(table(slopesOf(rows.values)), c.value(index)));
    }
    return mixture([...c.forms(rows), ...c.forms(index)], constant(NO_CLAIM, t.shape));
  },
  contract: (t, c) => {
    const [a, b] = t.args;
    const [la, lb] = t.labels.args;
    return product([c.value(a), c.forms(a), la], [c.value(b), c.forms(b), lb], t.labels.out);
  },
  fold: foldForms,
  routine: (t, c) => {
    if (t.args.every((a) => c.forms(a).length === 0)) return [];
    throw new ValueError("variance", `${t.routine} of a value that is off has no expected error`);
  },
};

/** A rounding that only saturates. */
const unrounded = (t: Term, x: Term): Term => {
  const { min, max } = DTYPES[t.dtype];
  return t.tag === "cast" ? map("min", map("max", x, min), max) : x;
};

/**
 * Expected (program − ideal program)², element by element, where each rounding is uniform noise (Bennett
 * 1948). A term of the program's shape: it is evaluated and compiled beside it.
 * A `ValueError` names a routine of a value that is off: its factors have no expected error.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { evaluate, foldOver, input, map, varianceOf } from "kvfold";
 * const x = input("x", ["n"], "f32");
 * const sum = foldOver("sum", "sum", map("rint", x), [0]); // independent roundings
 * const twice = map("mul", map("rint", x), 2); // one rounding, twice
 * const env = { sizes: { n: 48 }, inputs: { x: Array.from({ length: 48 }, (_, i) => i / 7 + 0.1) } };
 * ok(Math.abs(evaluate(varianceOf(sum), env).data[0] - 48 / 12) < 1e-6);
 * ok(evaluate(varianceOf(twice), env).data.every((v) => Math.abs(v - 4 / 12) < 1e-6));
 * ```
 */
export const varianceOf = (
  root: Term,
  { stored, codes = false, exact = [] }: Known = {},
): Term => {
  const order = topological([root]);
  const direct = directOf(order);
  const parameters = new Set([...parametersOf(root), ...exact]);
  const [values, plains, ideals] = [0, 1, 2].map(() => new Map<Term, Term>());
  const errors = new Map<Term, Forms>();
  const context: Context = {
    value: (t) => values.get(t)!,
    plain: (t) => plains.get(t)!,
    ideal: (t) => ideals.get(t)!,
    forms: (t) => errors.get(t)!,
    codes,
  };
  for (const t of order) {
    const given = stored?.get(t);
    const parameter = parameters.has(t);
    const [own, plain, ideal] = [values, plains, ideals].map((m) =>
      argsOf(t).map((a) => m.get(a)!)
    );
    values.set(t, given ?? withArgs(t, own));
    plains.set(
      t,
      isLossy(t) && !direct.has(t) && !isPlace(t) ? plain[0] : given ?? withArgs(t, plain),
    );
    if (parameter) ideals.set(t, values.get(t)!);
    else ideals.set(t, isLossy(t) ? unrounded(t, ideal[0]) : given ?? overIdeal(t, ideal));
    errors.set(t, parameter ? [] : read(EXPECTED, t, context));
  }
  return variance(errors.get(root)!, root.shape);
};
