/**
 * How far a program with lossy nodes is from its ideal, as a term: the same program with every rounding
 * (a code, a half) left out, saturation kept, and scales as stored. It compiles like any other term.
 *
 * A rounding that other codes are computed against (a scale, a minimum) is *as stored*: both programs
 * use it, so it costs nothing. Every other rounding costs half a step, which the nodes above carry on:
 *
 * ```text
 * a + b   ea + eb                      A·B     |A|·eB + eA·|B| + eA·eB
 * a · b   |a|·eb + |b|·ea + ea·eb      e^a     e^a·(e^ea − 1)
 * max     max(ea, eb)                  softmax ½·ε·range(V) + Σ p·eV       docs/numerics.md
 * ```
 *
 * Rounding of the device's arithmetic comes on top (`rounding`).
 * @module
 */
import {
  broadcast,
  constant,
  contractBy,
  foldBy,
  gather,
  map,
  permute,
  reshape,
  slice,
} from "../core/build.ts";
import { DTYPES, isPacked } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";
import { MASKED } from "../core/monoid.ts";
import {
  argsOf,
  intern,
  type Nodes,
  read,
  type Reading,
  type Term,
  type TermOf,
  topological,
  withArgs,
} from "../core/term.ts";

/** Larger than any claim. */
const NO_CLAIM = 3e38;

/** An error bound: a term, or nothing where the value is exact. */
type Error = Term | undefined;

/** What is known beside the program. */
export interface Known {
  /** Terms whose stored values are given: the term, and what stands for it. */
  readonly stored?: ReadonlyMap<Term, Term>;
  /** Packed inputs are codes of something: half a code off. */
  readonly codes?: boolean;
}

/** Folds of all values, and the basis made of a Gram matrix. Factors of svd and qr hold the values themselves. */
const isStatistic = (t: Term): boolean =>
  (t.tag === "routine" && t.routine === "eigh") ||
  (t.tag === "fold" && t.monoid !== "sum" && t.monoid !== "softmax");

/** Does the node round to a stored type? */
export const isLossy = (t: Term): boolean =>
  (t.tag === "cast" && t.dtype !== "f32" && t.dtype !== "i16") ||
  (t.tag === "map" && t.op === "rint");

/** Terms that follow an input value by value, not only through a statistic of all of it. */
export const directOf = (order: readonly Term[]): Set<Term> => {
  const direct = new Set<Term>();
  for (const t of order) {
    if (t.tag === "input" || (!isStatistic(t) && argsOf(t).some((a) => direct.has(a)))) {
      direct.add(t);
    }
  }
  return direct;
};

/** Roundings of statistics that codes are computed against. */
export const parametersOf = (root: Term): Set<Term> => {
  const order = topological([root]);
  const direct = directOf(order);
  const against = new Set<Term>();
  for (const t of order) {
    if (isLossy(t) && direct.has(t)) topological(argsOf(t)).forEach((a) => against.add(a));
  }
  return new Set(order.filter((t) => isLossy(t) && !direct.has(t) && against.has(t)));
};

/** Is every value a whole number, whatever the inputs? */
export const isWhole = (t: Term): boolean => {
  if (t.tag === "constant") return Number.isInteger(t.value);
  if (t.tag === "iota") return true;
  if (t.tag === "map" && t.op === "rint") return true;
  if (t.tag === "map" && ["add", "sub", "mul", "min", "max", "neg", "abs"].includes(t.op)) {
    return t.args.every(isWhole);
  }
  if (["broadcast", "reshape", "permute", "slice", "concat"].includes(t.tag)) {
    return argsOf(t).every(isWhole);
  }
  return DTYPES[t.dtype].integer && t.dtype !== "i16";
};

const clamped = (x: Term, lo: number, hi: number): Term => map("min", map("max", x, lo), hi);

/** The program without its roundings. */
export const idealOf = (root: Term, { stored }: Known = {}): Term => {
  const parameters = parametersOf(root);
  const actual = new Map<Term, Term>();
  const done = new Map<Term, Term>();
  for (const t of topological([root])) {
    const given = stored?.get(t);
    actual.set(t, given ?? withArgs(t, argsOf(t).map((a) => actual.get(a)!)));
    // As stored: of what the program that runs made, also where that was rounded before.
    if (parameters.has(t)) done.set(t, actual.get(t)!);
    else if (given !== undefined && !isLossy(t)) done.set(t, given);
    else if (!isLossy(t)) done.set(t, withArgs(t, argsOf(t).map((a) => done.get(a)!)));
    else {
      const arg = done.get(argsOf(t)[0])!;
      const { min, max } = DTYPES[t.dtype];
      done.set(t, t.tag === "cast" ? clamped(arg, min, max) : arg);
    }
  }
  return done.get(root)!;
};

interface Context {
  /** The value of a term in the program that runs. */
  readonly value: (t: Term) => Term;
  readonly error: (t: Term) => Error;
  readonly parameters: ReadonlySet<Term>;
  readonly codes: boolean;
}

const sum = (...errors: readonly Error[]): Error =>
  errors.filter((e): e is Term => e !== undefined).reduce<Error>(
    (a, b) => a === undefined ? b : map("add", a, b),
    undefined,
  );

const abs = (t: Term): Term => map("abs", t);
const either = (a: Error, b: Error): Error =>
  a === undefined ? b : b === undefined ? a : map("max", a, b);
const zero = (like: Term): Term => constant(0, like.shape);

/** |a|·eb + |b|·ea + ea·eb with any product. */
const products = (
  a: Term,
  ea: Error,
  b: Term,
  eb: Error,
  times: (x: Term, y: Term) => Term,
): Error =>
  sum(
    eb && times(abs(a), eb),
    ea && times(ea, abs(b)),
    ea && eb && times(ea, eb),
  );

const mapError = (t: TermOf<"map">, c: Context): Error => {
  const [a, b] = t.args.map(c.value);
  const errors = t.args.map(c.error);
  const [ea, eb, ec] = errors;
  if (errors.every((e) => e === undefined) && t.op !== "rint") return undefined;
  switch (t.op) {
    case "add":
    case "sub":
      return sum(ea, eb);
    case "neg":
    case "abs":
      return ea;
    case "max":
    case "min":
      return either(ea, eb);
    case "mul":
      return products(a, ea, b, eb, (x, y) => map("mul", x, y));
    case "div": {
      if (eb === undefined) return map("div", ea!, abs(b));
      // |a/b − â/b̂| ≤ (ea + |â/b̂|·eb) / (|b̂| − eb) while the denominator keeps its sign.
      const top = sum(ea, map("mul", abs(map("div", a, b)), eb))!;
      return map(
        "select",
        map("less", eb, abs(b)),
        map("div", top, map("sub", abs(b), eb)),
        NO_CLAIM,
      );
    }
    case "exp":
      return map("mul", map("exp", a), map("sub", map("exp", ea!), 1));
    case "sqrt":
      return map(
        "min",
        map("select", map("less", 0, a), map("div", ea!, map("sqrt", a)), NO_CLAIM),
        map("sqrt", ea!),
      );
    case "rint":
      return sum(constant(0.5, t.shape), ea);
    case "less":
      return map("select", map("less", sum(ea, eb)!, abs(map("sub", a, b))), 0, 1);
    case "select": {
      const [condition, x, y] = [t.args[0], t.args[1], t.args[2]].map(c.value);
      if (ea === undefined) return map("select", condition, eb ?? zero(x), ec ?? zero(y));
      return sum(abs(map("sub", x, y)), eb, ec);
    }
    case "hadamard":
      return constant(2, t.shape);
  }
};

const castError = (t: TermOf<"cast">, c: Context): Error => {
  const below = c.error(t.args[0]);
  if (t.dtype === "f16") {
    // Half a step, from the value that is stored: 2^-11 of it, 2^-25 below the normal range.
    const half = map(
      "max",
      map("mul", abs(c.value(t as Term)), 2 ** -11 * (1 + 2 ** -10)),
      2 ** -25,
    );
    return sum(half, below);
  }
  if (DTYPES[t.dtype].integer && t.dtype !== "i16" && !isWhole(t.args[0])) {
    return sum(constant(0.5, t.shape), below);
  }
  return below;
};

/**
 * Scores off by ε_t move the weights by ‖p − p̂‖₁ ≤ max ε_t (softmax is 1-Lipschitz from ℓ∞ to ℓ₁), and by
 * ‖p − p̂‖₁ ≤ 2·E_p̂[e^ε − 1] / E_p̂[e^−ε], which is sharper where few tokens carry weight. Differences of
 * weights sum to 0, so the output moves by half of that times the range of V, plus Σ p̂·eV.
 */
const softmaxError = (t: TermOf<"fold">, c: Context): Error => {
  const [scores, values] = t.args.map(c.value);
  const [es, ev] = t.args.map(c.error);
  const [sl, vl] = t.labels.args;
  const out = t.labels.out;
  const again = (v: Term): Term => foldBy("softmax", "mean", t.labels, [scores, v]);
  const carried = ev && again(ev);
  if (es === undefined) return carried;
  const rows = out.filter((l) => sl.includes(l));
  const channels = out.filter((l) => vl.includes(l));
  const spread = (x: Term, own: readonly string[]): Term => {
    const order = out.filter((l) => own.includes(l));
    const dims = t.labels.out.map((_, i) => t.shape[i]);
    return broadcast(
      permute(x, order.map((l) => own.indexOf(l))),
      dims,
      order.map((l) => out.indexOf(l)),
    );
  };
  const live = map("less", MASKED, scores);
  const eps = map("select", live, es, 0);
  const largest = spread(foldBy("max", "max", { args: [sl], out: rows }, [eps]), rows);
  // Means of functions of the scores: a fold whose values have no channels.
  const mean = (x: Term): Term =>
    spread(foldBy("softmax", "mean", { args: [sl, sl], out: rows }, [scores, x]), rows);
  const small = map("min", eps, 80);
  const sharp = map(
    "div",
    map("mul", mean(map("sub", map("exp", small), 1)), 2),
    mean(map("exp", map("neg", small))),
  );
  const extent = (project: "lo" | "hi", x: Term): Term =>
    spread(foldBy("extent", project, { args: [vl], out: channels }, [x]), channels);
  const widest = ev === undefined ? values : undefined;
  const range = widest !== undefined
    ? map("sub", extent("hi", values), extent("lo", values))
    : map("sub", extent("hi", map("add", values, ev!)), extent("lo", map("sub", values, ev!)));
  return sum(map("mul", map("mul", map("min", largest, sharp), 0.5), range), carried);
};

const foldError = (t: TermOf<"fold">, c: Context): Error => {
  if (t.monoid === "softmax") return softmaxError(t, c);
  const [a] = t.args.map(c.value);
  const e = c.error(t.args[0]);
  if (e === undefined) return undefined;
  if (t.monoid === "sum") return foldBy("sum", "sum", t.labels, [e]);
  if (t.monoid !== "gram") return foldBy("max", "max", t.labels, [e]);
  const axis = t.labels.args[0];
  const last = axis[axis.length - 1];
  const twin = axis.map((l) => l === last ? "twin" : l);
  const labels = { args: [axis, twin], out: [...t.labels.out.slice(0, -1), "twin"] };
  return products(a, e, a, e, (x, y) => contractBy(labels, x, y));
};

const viewed = (view: (e: Term) => Term, e: Error): Error => e && view(e);

/** One entry a node kind. */
const BOUND: Reading<[Context], Error> = {
  input: (t, c) => c.codes && isPacked(t.dtype) ? constant(0.5, t.shape) : undefined,
  constant: () => undefined,
  iota: () => undefined,
  map: mapError,
  cast: (t, c) => c.parameters.has(t as Term) ? undefined : castError(t, c),
  reshape: (t, c) => viewed((e) => reshape(e, t.shape), c.error(t.args[0])),
  permute: (t, c) => viewed((e) => permute(e, t.axes), c.error(t.args[0])),
  broadcast: (t, c) => viewed((e) => broadcast(e, t.shape, t.axes), c.error(t.args[0])),
  slice: (t, c) =>
    viewed(
      (e) => slice(e, t.axis, t.start, t.start + (t.shape[t.axis] as number)),
      c.error(t.args[0]),
    ),
  concat: (t, c) => {
    const errors = t.args.map(c.error);
    if (errors.every((e) => e === undefined)) return undefined;
    const args = errors.map((e, i) => e ?? zero(t.args[i]));
    return intern("concat", { args, axis: t.axis } as Nodes["concat"], t.shape, "f32");
  },
  // A row that may be another row: no claim.
  gather: (t, c) =>
    c.error(t.args[1]) === undefined
      ? viewed((e) => gather(e, c.value(t.args[1])), c.error(t.args[0]))
      : constant(NO_CLAIM, t.shape),
  contract: (t, c) => {
    const [a, b] = t.args.map(c.value);
    return products(
      a,
      c.error(t.args[0]),
      b,
      c.error(t.args[1]),
      (x, y) => contractBy(t.labels, x, y),
    );
  },
  fold: foldError,
  routine: (t, c) => {
    if (c.error(t.args[0]) === undefined) return undefined;
    throw new ValueError("bound", `${t.routine} of a value that is off has no bound`);
  },
};

/** |program − ideal program| ≤ this, element by element; see the head of the file. */
export const boundOf = (root: Term, { stored, codes = false }: Known = {}): Term => {
  const parameters = parametersOf(root);
  const values = new Map<Term, Term>();
  const errors = new Map<Term, Error>();
  const context: Context = {
    value: (t) => values.get(t)!,
    error: (t) => errors.get(t),
    parameters,
    codes,
  };
  const direct = directOf(topological([root]));
  for (const t of topological([root])) {
    values.set(t, stored?.get(t) ?? withArgs(t, argsOf(t).map((a) => values.get(a)!)));
    // A statistic and what is made of it is as stored, but for a rounding that nothing is coded against.
    const exact = parameters.has(t) ||
      (!direct.has(t) && !isLossy(t) && argsOf(t).every((a) => errors.get(a) === undefined));
    errors.set(t, exact ? undefined : read(BOUND, t, context));
  }
  return errors.get(root) ?? zero(root);
};
