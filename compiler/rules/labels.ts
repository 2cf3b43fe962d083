/**
 * Tools of the rules: labelled operands of contractions and folds, and splitting their axes.
 * @module
 */
import { cast, contractBy, foldBy, reshape } from "../../dsl/core/build.ts";
import { concat } from "../../dsl/core/pieces.ts";
import { isDynamic, knownCount, regroups } from "../../dsl/core/shape.ts";
import {
  argsOf,
  type Dim,
  type Labels,
  type Shape,
  type Term,
  type TermOf,
} from "../../dsl/core/term.ts";
import { anywhere, holdsCodes, isGiven } from "../../dsl/core/codes.ts";
import { isFloat, isPacked } from "../../dsl/core/dtype.ts";

/** A contraction or a softmax fold. */
export type Labelled = Term & (TermOf<"contract"> | TermOf<"fold">);

/** The same kind of term over other operands. */
export const relabel = (term: Labelled, labels: Labels, args: readonly Term[]): Term =>
  term.tag === "contract"
    ? contractBy(labels, args[0], args[1])
    : foldBy(term.monoid, term.project, labels, args);

/** Numbers whose runs multiply to both lists: `[8, 16]` and `[2, 64]` give `[2, 4, 16]`. */
export const refine = (from: readonly number[], to: readonly number[]): number[] | undefined => {
  const [f, t] = [[...from], [...to]];
  const out: number[] = [];
  while (f.length > 0 && t.length > 0) {
    const step = Math.min(f[0], t[0]);
    if (f[0] % step !== 0 || t[0] % step !== 0) return undefined;
    out.push(step);
    for (const side of [f, t]) {
      side[0] /= step;
      if (side[0] === 1) side.shift();
    }
  }
  const rest = [...f, ...t];
  return rest.every((n) => n === 1) ? [...out, ...rest] : undefined;
};

/** Cuts `dims` into runs with the given products; each run is a list of positions. */
const runs = (dims: readonly Dim[], products: readonly Dim[]): number[][] | undefined => {
  const out: number[][] = [];
  let at = 0;
  for (const product of products) {
    const run: number[] = [];
    let n = 1;
    while (at < dims.length && (run.length === 0 || n !== product)) {
      if (typeof dims[at] === "string") {
        if (run.length > 0 || dims[at] !== product) return undefined;
        run.push(at++);
        n = NaN;
        break;
      }
      n *= dims[at] as number;
      run.push(at++);
    }
    if (typeof product === "number" && n !== product) return undefined;
    out.push(run);
  }
  while (at < dims.length && dims[at] === 1 && out.length > 0) out[out.length - 1].push(at++);
  return at === dims.length ? out : undefined;
};

/**
 * Moves a permutation off an operand: its labels take the order of what it permutes.
 *
 * Before: `contract("k d, d t -> k t", q, permute 1 0 x)`; after: `contract("k d, t d -> k t", q, x)`.
 */
export const permuteOperand = (term: Labelled, which: number): Term | undefined => {
  const operand = argsOf(term)[which];
  if (operand.tag !== "permute") return undefined;
  const axis = term.labels.args[which];
  const own = operand.axes.map((_, k) => axis[operand.axes.indexOf(k)]);
  return relabel(
    term,
    { ...term.labels, args: term.labels.args.map((l, i) => i === which ? own : l) },
    argsOf(term).map((a, i) => i === which ? operand.args[0] : a),
  );
};

/**
 * Moves a reshape off an operand: its merged axes become labels of their own, in every operand and in
 * the result, which is merged back at the end.
 *
 * Before: `contract("k d, t d -> k t", q, reshape(x: ["t", 4, 16] -> ["t", 64]))`;
 * after: `contract("k b j, t b j -> k t", reshape(q), x)`.
 */
export const splitOperand = (term: Labelled, which: number): Term | undefined => {
  const operand = argsOf(term)[which];
  if (operand.tag !== "reshape") return undefined;
  const [from] = operand.args;
  const refined: Dim[] = [];
  for (const group of regroups(from.shape, operand.shape)) {
    const a = from.shape.slice(...group.from);
    const b = operand.shape.slice(...group.to);
    if (a.length === 1 && b.length === 1) refined.push(a[0]);
    else {
      if (isDynamic([...a, ...b])) return undefined;
      const common = refine(a as number[], b as number[]);
      if (common === undefined) return undefined;
      refined.push(...common);
    }
  }
  const cut = runs(refined, operand.shape);
  // An axis of one is no split: `split-inward` would take it back, and so on for ever.
  const real = (run: readonly number[]): number[] => run.filter((at) => refined[at] !== 1);
  if (cut === undefined || cut.every((run) => real(run).length <= 1)) return undefined;
  const axis = term.labels.args[which];
  const parts = new Map(
    axis.map((l, i) => [l, cut[i].map((at, k) => ({ label: `${l}${k + 1}`, dim: refined[at] }))]),
  );
  const splitShape = (labels: readonly string[], shape: Shape): Dim[] =>
    labels.flatMap((l, i) => parts.get(l)?.map((p) => p.dim) ?? [shape[i]]);
  const splitLabels = (labels: readonly string[]): string[] =>
    labels.flatMap((l) => parts.get(l)?.map((p) => p.label) ?? [l]);
  const args = argsOf(term).map((a, i) =>
    i === which ? reshape(from, refined) : reshape(a, splitShape(term.labels.args[i], a.shape))
  );
  const labels = { args: term.labels.args.map(splitLabels), out: splitLabels(term.labels.out) };
  return reshape(relabel(term, labels, args), term.shape);
};

/**
 * The same where one of several pieces side by side is merged: the others are split alike.
 *
 * Before: `fold("k t, t d -> k d", s, merge(x: ["t", 4, 16]) | y)`;
 * after: `merge(fold("k t, t b j -> k b j", s, x | split(y)))`.
 */
export const splitPieces = (term: Labelled, which: number): Term | undefined => {
  const operand = argsOf(term)[which];
  if (operand.tag !== "concat") return undefined;
  const { axis, args, shape } = operand;
  for (const merged of args) {
    if (merged.tag !== "reshape") continue;
    const [inner] = merged.args;
    const own = regroups(inner.shape, merged.shape)
      .find(({ to: [a, b] }) => a === axis && b === axis + 1);
    if (own === undefined || own.from[1] - own.from[0] !== 1) continue;
    const [at] = own.from;
    const split = args.map((a) =>
      reshape(a, inner.shape.map((d, i) => i === at ? a.shape[axis] : d))
    );
    const whole = reshape(concat(split, at), shape);
    const given = argsOf(term).map((a, i) => i === which ? whole : a);
    const made = splitOperand(relabel(term, term.labels, given) as Labelled, which);
    if (made !== undefined) return made;
  }
  return undefined;
};

/** Labels of an inner contraction under the names its user gives them; contracted ones become new. */
export const renamed = (
  inner: TermOf<"contract">,
  names: readonly string[],
): { args: string[][]; gone: string[] } => {
  const to = (l: string): string => {
    const at = inner.labels.out.indexOf(l);
    return at >= 0 ? names[at] : `${l}inner`;
  };
  const args = inner.labels.args.map((axis) => axis.map(to));
  return { args, gone: [...new Set(args.flat())].filter((l) => !names.includes(l)) };
};

/**
 * Which operand of an inner product is a small factor, the same for all tokens: it has none of their labels, or no
 * size that is known only when a program runs. `names` are the labels of its result, `tokens` those of them.
 */
export const smallFactor = (
  inner: TermOf<"contract">,
  names: readonly string[],
  tokens: readonly string[],
): number => {
  const axes = renamed(inner, names).args;
  return inner.args.findIndex((y, k) => {
    const x = inner.args[1 - k];
    if (isDynamic(y.shape) || knownCount(x.shape) > knownCount(inner.shape)) return false;
    return isDynamic(x.shape) ||
      tokens.length > 0 && tokens.every((l) => axes[1 - k].includes(l) && !axes[k].includes(l));
  });
};

/** Terms with their labels, as a contraction has them. */
export type Operands = readonly (readonly [axis: readonly string[], term: Term])[];

/** Multiply-adds of a product for one entry of each axis whose size is known only when it runs, and those axes. */
const madds = (operands: Operands): { readonly known: number; readonly along: string } => {
  const sizes = new Map(
    operands.flatMap(([axis, { shape }]) => axis.map((l, i): [string, Dim] => [l, shape[i]])),
  );
  const along = [...sizes].filter(([, d]) => typeof d === "string").map(([l]) => l);
  return { known: knownCount([...sizes.values()]), along: along.sort().join() };
};

/** Is a product that is made instead of another less work, or along other axes than those of unknown size? */
export const isLess = (made: Operands, before: Operands): boolean => {
  const [a, b] = [madds(made), madds(before)];
  return a.along === b.along ? a.known < b.known : b.along !== "";
};

/** Is the value made of rows of a table that are known from their places alone? */
export const isPlaced: (term: Term) => boolean = anywhere((t) =>
  t.tag === "gather" && !isGiven(t.args[1])
);

/** Is the value decoded from something stored along a dynamic axis: codes or stored floats of a cache? */
export const isCached: (term: Term) => boolean = anywhere((t) =>
  (isPacked(t.dtype) || isFloat(t.dtype)) && isDynamic(t.shape)
);

/** Is the value decoded from codes or stored floats, whatever is known of their number? */
export const isStored: (term: Term) => boolean = anywhere((t) =>
  isPacked(t.dtype) || isFloat(t.dtype)
);

/** Is a value read from a cache, and the other that meets it not? Of known size, it is what other than codes meet. */
export const meetsCache = (cached: Term, other: Term): boolean =>
  isCached(cached)
    ? !isCached(other)
    : !isDynamic(cached.shape) && isStored(cached) && !holdsCodes(other);

/** A term as f32, as what lies beside it is. */
export const asNumber = (t: Term): Term => t.dtype === "f32" ? t : cast(t, "f32");

/** What is seen as f32 only so that it may lie beside others. */
export const bare = (t: Term): Term => t.tag === "cast" && t.dtype === "f32" ? t.args[0] : t;
