/**
 * The rules of views: where a value lies. Views move towards the leaves, bottom-up, until none is left to
 * move; what repeats is computed once.
 * @module
 */
import {
  broadcast,
  cast,
  constant,
  contractBy,
  gather,
  map,
  permute,
  reshape,
} from "../../dsl/core/build.ts";
import { concat, sliced } from "../../dsl/core/pieces.ts";
import { holdsCodes } from "../../dsl/core/codes.ts";
import { codesIn, DTYPES, isPacked } from "../../dsl/core/dtype.ts";
import { gramLabels, regroups } from "../../dsl/core/shape.ts";
import {
  argsOf,
  type Dim,
  type Shape,
  type Term,
  type TermOf,
  withArgs,
} from "../../dsl/core/term.ts";
import { cutter, piecesOf } from "./cut.ts";
import { constantMap, signInMagnitude } from "./known.ts";
import { normalBetween } from "./ranges.ts";

/** A rewrite: the term it gives, or nothing where it does not apply. */
export interface Rule {
  readonly name: string;
  /** Before and after, for people. */
  readonly says: string;
  readonly apply: (term: Term) => Term | undefined;
}

const gramIsContract = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "gram") return undefined;
  return contractBy(gramLabels(term.labels), term.args[0], term.args[0]);
};

/** A fold over no axis, as other rules may leave, is what it folds. */
const foldOfNothing = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid === "gram" || term.monoid === "softmax") return undefined;
  const { args: [axis], out } = term.labels;
  if (axis.length !== out.length) return undefined;
  const own = permute(term.args[0], out.map((l) => axis.indexOf(l)));
  return own.dtype === term.dtype ? own : cast(own, term.dtype);
};

/**
 * A look-up among evenly spaced levels, as two of opposite sign are, is an affine code: no entry is looked up.
 * Every level must be met exactly.
 */
const evenLevels = (term: Term): Term | undefined => {
  if (term.tag !== "gather" || term.args[0].tag !== "table" || !isPacked(term.args[1].dtype)) {
    return undefined;
  }
  const [{ values }, codes] = term.args;
  const { max } = DTYPES[codes.dtype];
  const [first, step] = [values[0], values[1] - values[0]];
  // Beyond the end an index is the last one.
  if (values.length <= max || Math.fround(step) !== step) return undefined;
  if (values.some((x, i) => x !== first + i * step)) return undefined;
  return map("add", map("mul", codes, step), first);
};

/** Can a reshape move below this operand without coming to rest on a broadcast? */
const accepts = (arg: Term, term: Term): boolean => {
  if (term.tag !== "reshape") return true;
  if (arg.tag === "broadcast") return viewOfBroadcast(reshape(arg, term.shape)) !== undefined;
  return arg.tag !== "map" || arg.args.every((a) => accepts(a, term));
};

/** A view of an elementwise result is the elementwise result of views. */
const viewInward = (term: Term): Term | undefined => {
  if (term.tag !== "reshape" && term.tag !== "permute") return undefined;
  const [arg] = term.args;
  const view = (t: Term): Term =>
    term.tag === "reshape" ? reshape(t, term.shape) : permute(t, term.axes);
  if (arg.tag === "map" && holdsCodes(arg) && accepts(arg, term)) {
    return withShape(arg, arg.args.map(view));
  }
  if (arg.tag === "gather" && arg.args[0].tag === "table") {
    return gather(arg.args[0], view(arg.args[1]));
  }
  if (arg.tag === "cast" && codesIn(arg.dtype) === undefined) {
    return cast(view(arg.args[0]), arg.dtype);
  }
  return undefined;
};

/** What repeats is computed once: a map of broadcasts is a broadcast of a map. */
const broadcastOutward = (term: Term): Term | undefined => {
  if (term.tag !== "map") return undefined;
  const axes = new Set<number>();
  for (const a of term.args) {
    if (a.tag === "broadcast") a.axes.forEach((k) => axes.add(k));
    else if (a.tag !== "constant") return undefined;
  }
  if (axes.size === term.shape.length) return undefined;
  const kept = [...axes].sort((a, b) => a - b);
  const shape = kept.map((k) => term.shape[k]);
  const args = term.args.map((a) =>
    a.tag === "broadcast"
      ? broadcast(a.args[0], shape, a.axes.map((k) => kept.indexOf(k)))
      : constant((a as TermOf<"constant">).value, shape)
  );
  return broadcast(map(term.op, ...args), term.shape, kept);
};

/** The same behind a reshape that merges what repeats with what does not: scales of groups of channels. */
const mergeOutward = (term: Term): Term | undefined => {
  if (term.tag !== "map") return undefined;
  const merges = term.args.filter((a) => a.tag === "reshape" && a.args[0].tag === "broadcast");
  const [first] = merges.map((a) => argsOf(a)[0].shape);
  const fits = first !== undefined &&
    term.args.every((a) =>
      a.tag === "constant" || (merges.includes(a) && argsOf(a)[0].shape.join() === first.join())
    );
  if (!fits) return undefined;
  const args = term.args.map((a) => a.tag === "constant" ? constant(a.value, first) : argsOf(a)[0]);
  return reshape(map(term.op, ...args), term.shape);
};

/**
 * A quotient by a scale is a product with its reciprocal, which is made once for all that share it, where
 * that neither overflows nor vanishes: a stored half is 0 (what is divided by it is 0, and so is 1 / 0) or
 * within 2^-24 … 65504; another scale must be held where both are normal numbers.
 */
const reciprocal = (term: Term): Term | undefined => {
  if (term.tag !== "map" || term.op !== "div") return undefined;
  const [x, by] = term.args;
  if (by.tag !== "broadcast" || (by.dtype !== "f16" && !normalBetween(by.args[0]))) {
    return undefined;
  }
  return map("mul", x, broadcast(map("div", 1, by.args[0]), term.shape, by.axes));
};

/** Ranges of a cache side by side, scaled or shifted: each by itself. */
const concatOutward = (term: Term): Term | undefined => {
  if (term.tag !== "map" || !holdsCodes(term)) return undefined;
  const joined = term.args.find((a): a is TermOf<"concat"> & Term =>
    a.tag === "concat" && holdsCodes(a)
  );
  if (joined === undefined) return undefined;
  const parts = piecesOf(joined.args.map((own) => own.shape[joined.axis])).map((piece) => {
    const cut = cutter(piece);
    return map(term.op, ...term.args.map((a) => cut(a, joined.axis)));
  });
  return concat(parts, joined.axis);
};

/** A view of what lies side by side, where it leaves that axis as it is. */
const viewOfConcat = (term: Term): Term | undefined => {
  if ((term.tag !== "reshape" && term.tag !== "permute") || term.args[0].tag !== "concat") {
    return undefined;
  }
  const [{ args, axis }] = term.args;
  if (term.tag === "permute") {
    return concat(args.map((a) => permute(a, term.axes)), term.axes.indexOf(axis));
  }
  const own = regroups(term.args[0].shape, term.shape).find(({ from: [a, b] }) =>
    a <= axis && axis < b
  );
  if (own === undefined || own.from[1] - own.from[0] !== 1 || own.to[1] - own.to[0] !== 1) {
    return undefined;
  }
  const [to] = own.to;
  const sized = (size: Dim): Shape => term.shape.map((d, i) => i === to ? size : d);
  return concat(args.map((a) => reshape(a, sized(a.shape[axis]))), to);
};

const withShape = (term: TermOf<"map">, args: readonly Term[]): Term => map(term.op, ...args);

const viewOfBroadcast = (term: Term): Term | undefined => {
  if (term.tag === "permute" && term.args[0].tag === "broadcast") {
    const inner = term.args[0];
    const places = inner.axes.map((a) => term.axes.indexOf(a));
    const order = [...places].sort((a, b) => a - b);
    return broadcast(
      permute(inner.args[0], order.map((p) => places.indexOf(p))),
      term.shape,
      order,
    );
  }
  if (term.tag === "slice" && term.args[0].tag === "broadcast") {
    const { args: [x], axes } = term.args[0];
    const at = axes.indexOf(term.axis);
    const own = at < 0 ? x : sliced(x, at, term.start, term.shape[term.axis]);
    return broadcast(own, term.shape, axes);
  }
  if (term.tag !== "reshape" || term.args[0].tag !== "broadcast") return undefined;
  const inner = term.args[0];
  const places: number[] = [];
  for (const { from, to } of regroups(inner.shape, term.shape)) {
    // Axes of one hold nothing: they come and go freely.
    const real = (shape: Shape, [a, b]: readonly [number, number]): number[] =>
      Array.from({ length: b - a }, (_, k) => a + k).filter((at) => shape[at] !== 1);
    const [old, made] = [real(inner.shape, from), real(term.shape, to)];
    const used = old.filter((a) => inner.axes.includes(a));
    if (used.length === 0) continue;
    if (used.length !== old.length) return undefined;
    places.push(...made);
  }
  return broadcast(reshape(inner.args[0], places.map((k) => term.shape[k])), term.shape, places);
};

/** A split of a product's result axis is a split of its operands'. */
const splitInward = (term: Term): Term | undefined => {
  if (term.tag !== "reshape" || term.args[0].tag !== "contract") return undefined;
  const inner = term.args[0];
  const parts = new Map<string, { label: string; at: number }[]>();
  for (const { from, to } of regroups(inner.shape, term.shape)) {
    if (from[1] - from[0] !== 1) return undefined;
    const label = inner.labels.out[from[0]];
    parts.set(
      label,
      Array.from(
        { length: to[1] - to[0] },
        (_, k) => ({ label: `${label}${k + 1}`, at: to[0] + k }),
      ),
    );
  }
  const expand = (l: string): readonly { label: string; at: number }[] | undefined => parts.get(l);
  const labels = (axis: readonly string[]): string[] =>
    axis.flatMap((l) => expand(l)?.map((p) => p.label) ?? [l]);
  const args = inner.args.map((a, i) =>
    reshape(
      a,
      inner.labels.args[i].flatMap((l, k) =>
        expand(l)?.map((p) => term.shape[p.at]) ?? [a.shape[k]]
      ),
    )
  );
  return contractBy(
    { args: inner.labels.args.map(labels), out: labels(inner.labels.out) },
    args[0],
    args[1],
  );
};

const permuteOfProduct = (term: Term): Term | undefined => {
  if (term.tag !== "permute" || term.args[0].tag !== "contract") return undefined;
  const inner = term.args[0];
  return contractBy(
    { args: inner.labels.args, out: term.axes.map((a) => inner.labels.out[a]) },
    inner.args[0],
    inner.args[1],
  );
};

const identities = (term: Term): Term | undefined => {
  if (term.tag === "map") {
    const [a, b] = term.args;
    const is = (t: Term | undefined, v: number): boolean => t?.tag === "constant" && t.value === v;
    // An operand that holds codes would change the dtype of the result.
    const number = (t: Term): Term | undefined => t.dtype === "f32" ? t : undefined;
    if (term.op === "mul" && is(b, 1)) return number(a);
    if (term.op === "mul" && is(a, 1)) return number(b);
    if ((term.op === "add" || term.op === "sub") && is(b, 0)) return number(a);
    if (term.op === "add" && is(a, 0)) return number(b);
  }
  if (term.tag === "cast" && term.args[0].tag === "cast" && term.args[0].dtype === term.dtype) {
    return term.args[0];
  }
  if (term.tag === "cast" && argsOf(term)[0].dtype === term.dtype) return argsOf(term)[0];
  return undefined;
};

/** Where a value lies: views move towards the leaves, bottom-up, until none is left to move. */
export const VIEW_RULES: readonly Rule[] = [
  { name: "identity", says: "x·1, x+0, cast of the same dtype → x", apply: identities },
  { name: "constant-map", says: "f(1, 2) → a constant, or broadcast f(1, 2)", apply: constantMap },
  { name: "sign-in-magnitude", says: "|x·s| → |x|, s of −1 and 1", apply: signInMagnitude },
  { name: "even-levels", says: "[a, a + d, …][c] → a + d·c", apply: evenLevels },
  { name: "fold-of-nothing", says: "Σ x over no axis → x", apply: foldOfNothing },
  { name: "gram-is-contract", says: "gram(x) → Σₜ x xᵀ as a product", apply: gramIsContract },
  {
    name: "view-of-broadcast",
    says: "view(broadcast s) → broadcast(view s)",
    apply: viewOfBroadcast,
  },
  {
    name: "broadcast-outward",
    says: "f(broadcast a, c) → broadcast f(a, c): what repeats is computed once",
    apply: broadcastOutward,
  },
  {
    name: "merge-outward",
    says: "f(merge(broadcast a), c) → merge f(broadcast a, c)",
    apply: mergeOutward,
  },
  {
    name: "reciprocal",
    says: "x / broadcast(s) → x · broadcast(1 / s), s a half or held: a quotient once a group",
    apply: reciprocal,
  },
  {
    name: "concat-outward",
    says: "f(A | B, c) → f(A, c) | f(B, c)",
    apply: concatOutward,
  },
  { name: "view-of-concat", says: "view(A | B) → view A | view B", apply: viewOfConcat },
  { name: "view-inward", says: "view(f(a, b)) → f(view a, view b)", apply: viewInward },
  { name: "split-inward", says: "split(A·B) → split(A)·B", apply: splitInward },
  {
    name: "permute-of-product",
    says: "permute(A·B) → product with its labels in another order",
    apply: permuteOfProduct,
  },
];

/** A term with its views where these rules leave them. */
export const viewed = (term: Term, known: Map<Term, Term> = new Map()): Term => {
  const old = known.get(term);
  if (old !== undefined) return old;
  const here = withArgs(term, argsOf(term).map((a) => viewed(a, known)));
  const after = VIEW_RULES.map((rule) => rule.apply(here))
    .find((made) => made !== undefined && made !== here);
  const out = after === undefined ? here : viewed(after, known);
  known.set(term, out);
  return out;
};
