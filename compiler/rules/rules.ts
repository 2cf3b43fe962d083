/**
 * The rules: named rewrites that move work out of the token loop. Each row is one local step, keeps
 * the meaning (`props/rules_test.ts`), and is found by structure, never by the name of a scheme.
 * @module
 */
import {
  broadcast,
  cast,
  constant,
  contractBy,
  foldBy,
  gather,
  map,
  permute,
  reshape,
} from "../../dsl/core/build.ts";
import { holdsCodes } from "../../dsl/core/codes.ts";
import { isPacked } from "../../dsl/core/dtype.ts";
import { regroups } from "../../dsl/core/shape.ts";
import { argsOf, type Shape, type Term, type TermOf } from "../../dsl/core/term.ts";
import {
  broadcastOutOfFold,
  factorOutOfFold,
  repeatedOutOfFold,
  scaleOutOfFold,
  sumOutOfFold,
} from "./folds.ts";
import {
  isCached,
  type Labelled,
  relabel,
  renamed,
  smallFactor,
  splitOperand,
  spreadTo,
} from "./labels.ts";

/** A rewrite: the term it gives, or nothing where it does not apply. */
export interface Rule {
  readonly name: string;
  /** Before and after, for people. */
  readonly says: string;
  readonly apply: (term: Term) => Term | undefined;
}

const isLabelled = (t: Term): t is Labelled =>
  t.tag === "contract" || (t.tag === "fold" && t.monoid === "softmax");

/** Tries a step on each operand of a contraction or softmax fold. */
const onOperand =
  (step: (term: Labelled, which: number, operand: Term) => Term | undefined) =>
  (term: Term): Term | undefined => {
    if (!isLabelled(term)) return undefined;
    for (let i = 0; i < term.args.length; i++) {
      const after = step(term, i, term.args[i]);
      if (after !== undefined) return after;
    }
    return undefined;
  };

const replaced = <A>(list: readonly A[], at: number, value: A): A[] =>
  list.map((x, i) => i === at ? value : x);

const gramIsContract = (term: Term): Term | undefined => {
  if (term.tag !== "fold" || term.monoid !== "gram") return undefined;
  const axis = term.labels.args[0];
  const twin = axis.map((l, i) => i === axis.length - 1 ? "twin" : l);
  const out = replaced(term.labels.out, term.labels.out.length - 1, "twin");
  return contractBy({ args: [axis, twin], out }, term.args[0], term.args[0]);
};

const permuteOff = onOperand((term, i, operand) => {
  if (operand.tag !== "permute") return undefined;
  const axis = term.labels.args[i];
  const own = operand.axes.map((_, k) => axis[operand.axes.indexOf(k)]);
  return relabel(
    term,
    { ...term.labels, args: replaced(term.labels.args, i, own) },
    replaced(term.args, i, operand.args[0]),
  );
});

const reshapeOff = onOperand((term, i) => splitOperand(term, i));

const broadcastOff = onOperand((term, i, operand) => {
  if (term.tag !== "contract" || operand.tag !== "broadcast") return undefined;
  const axis = term.labels.args[i];
  const other = term.labels.args[1 - i];
  const gone = axis.filter((_, k) => !operand.axes.includes(k));
  if (!gone.every((l) => other.includes(l) || term.labels.out.includes(l))) return undefined;
  const own = operand.axes.map((k) => axis[k]);
  const out = term.labels.out.filter((l) => other.includes(l) || own.includes(l));
  const inner = relabel(
    term,
    { args: replaced(term.labels.args, i, own), out },
    replaced(term.args, i, operand.args[0]),
  );
  return spreadTo(inner, out, term.labels.out, term.shape);
});

const sumFirst = onOperand((term, i, operand) => {
  if (term.tag !== "contract") return undefined;
  const axis = term.labels.args[i];
  const other = term.labels.args[1 - i];
  const kept = axis.filter((l) => other.includes(l) || term.labels.out.includes(l));
  if (kept.length === axis.length) return undefined;
  const total = foldBy("sum", "sum", { args: [axis], out: kept }, [operand]);
  const args = replaced(term.args, i, total);
  return relabel(term, { ...term.labels, args: replaced(term.labels.args, i, kept) }, args);
});

/** A contraction that sums nothing is a product of what is repeated. */
const outerProduct = (term: Term): Term | undefined => {
  if (term.tag !== "contract") return undefined;
  const { args, out } = term.labels;
  if (args.some((axis) => axis.some((l) => !out.includes(l)))) return undefined;
  const [a, b] = term.args.map((x, i) => spreadTo(x, args[i], out, term.shape));
  return map("mul", a, b);
};

const constantOff = onOperand((term, i, operand) => {
  if (term.tag !== "contract" || operand.tag !== "constant") return undefined;
  const axis = term.labels.args[i];
  const other = term.labels.args[1 - i];
  const lonely = axis.filter((l) => !other.includes(l) && !term.labels.out.includes(l));
  if (lonely.length > 0) return undefined;
  const out = term.labels.out.filter((l) => other.includes(l));
  const total = foldBy("sum", "sum", { args: [other], out }, [term.args[1 - i]]);
  return spreadTo(map("mul", total, operand.value), out, term.labels.out, term.shape);
});

/** Is an operand the same along some contracted label, or scaled by something that is? */
const separable = (t: Term): boolean =>
  t.tag === "broadcast" || t.tag === "constant" ||
  (t.tag === "map" && t.op === "mul" &&
    t.args.some((a) => a.tag === "broadcast" || a.tag === "constant"));

const addApart = onOperand((term, i, operand) => {
  if (term.tag !== "contract" || operand.tag !== "map" || !holdsCodes(operand)) return undefined;
  if (operand.op !== "add" && operand.op !== "sub") return undefined;
  if (!operand.args.some(separable)) return undefined;
  const [a, b] = operand.args.map((x) => relabel(term, term.labels, replaced(term.args, i, x)));
  return map(operand.op, a, b);
});

const scaleOut = onOperand((term, i, operand) => {
  if (
    term.tag !== "contract" || operand.tag !== "map" || operand.op !== "mul" || !holdsCodes(operand)
  ) return undefined;
  const axis = term.labels.args[i];
  for (const [k, factor] of operand.args.entries()) {
    const rest = operand.args[1 - k];
    if (factor.tag === "constant") {
      const inner = relabel(term, term.labels, replaced(term.args, i, rest));
      return map("mul", inner, factor.value);
    }
    if (factor.tag !== "broadcast") continue;
    const own = factor.axes.map((a) => axis[a]);
    const contracted = axis.filter((l) => !term.labels.out.includes(l));
    if (contracted.every((l) => own.includes(l))) continue;
    const kept = contracted.filter((l) => own.includes(l));
    const all = [...term.labels.out, ...kept];
    const inner = relabel(term, { args: term.labels.args, out: all }, replaced(term.args, i, rest));
    if (kept.length > 0) {
      return contractBy({ args: [all, own], out: term.labels.out }, inner, factor.args[0]);
    }
    return map("mul", inner, spreadTo(factor.args[0], own, all, inner.shape));
  }
  return undefined;
});

const factorToOther = onOperand((term, i, operand) => {
  if (term.tag !== "contract" || operand.tag !== "contract") return undefined;
  const small = smallFactor(operand);
  if (small < 0) return undefined;
  const { args, gone } = renamed(operand, term.labels.args[i]);
  const [large, other] = [1 - small, 1 - i];
  // From the cache to the query, never back.
  if (!isCached(operand.args[large]) || isCached(term.args[other])) return undefined;
  const wanted = new Set([...args[large], ...term.labels.out]);
  const seen = [...new Set([...term.labels.args[other], ...args[small]])];
  const out = seen.filter((l) => wanted.has(l));
  if (gone.some((l) => !out.includes(l))) return undefined;
  const moved = contractBy(
    { args: [term.labels.args[other], args[small]], out },
    term.args[other],
    operand.args[small],
  );
  return contractBy({ args: [out, args[large]], out: term.labels.out }, moved, operand.args[large]);
});

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
  if (arg.tag === "cast" && !isPacked(arg.dtype)) {
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
  { name: "view-inward", says: "view(f(a, b)) → f(view a, view b)", apply: viewInward },
  { name: "split-inward", says: "split(A·B) → split(A)·B", apply: splitInward },
  {
    name: "permute-of-product",
    says: "permute(A·B) → product with its labels in another order",
    apply: permuteOfProduct,
  },
];

/** What is computed: from the outputs down, so that a factor leaves before its scale is looked at. */
export const ALGEBRA_RULES: readonly Rule[] = [
  {
    name: "permute-off-operand",
    says: "A·permute(B) → product with B's labels",
    apply: permuteOff,
  },
  { name: "reshape-off-operand", says: "A·merge(B) → split(A)·B", apply: reshapeOff },
  {
    name: "broadcast-off-operand",
    says: "A·broadcast(s) → (Σ A)·s, or broadcast(A·s)",
    apply: broadcastOff,
  },
  { name: "sum-first", says: "Σ_d A[d]·B → (Σ_d A[d])·B", apply: sumFirst },
  { name: "outer-product", says: "a ⊗ b → broadcast(a)·broadcast(b)", apply: outerProduct },
  { name: "constant-off-operand", says: "A·c → (Σ A)·c", apply: constantOff },
  { name: "add-apart", says: "q·(s·c + m) → q·(s·c) + q·m", apply: addApart },
  {
    name: "scale-out",
    says: "q·(s·c) → s·(q·c): a scale is applied once a group",
    apply: scaleOut,
  },
  {
    name: "factor-to-query",
    says: "q·(T_L·T_S) → (q·T_S)·T_L: the small factor leaves the token loop",
    apply: factorToOther,
  },
  {
    name: "scale-out-of-fold",
    says: "Σₜ pₜ (s·v) → s·Σₜ pₜ v: s is the same for all tokens",
    apply: scaleOutOfFold,
  },
  {
    name: "broadcast-out-of-fold",
    says: "Σₜ pₜ broadcast(s) → broadcast(Σₜ pₜ s), or s·Σₜ pₜ",
    apply: broadcastOutOfFold,
  },
  {
    name: "sum-out-of-fold",
    says: "Σₜ pₜ (a + b) → Σₜ pₜ a + Σₜ pₜ b, where both leave the fold",
    apply: sumOutOfFold,
  },
  {
    name: "repeated-out-of-fold",
    says: "maxₜ broadcast(s) → broadcast(maxₜ s), Σ broadcast(s) → n·Σ s",
    apply: repeatedOutOfFold,
  },
  { name: "factor-out-of-fold", says: "Σₜ pₜ (T_L·T_S) → (Σₜ pₜ T_L)·T_S", apply: factorOutOfFold },
];

/** Every rule. */
export const RULES: readonly Rule[] = [...VIEW_RULES, ...ALGEBRA_RULES];
