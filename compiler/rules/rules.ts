/**
 * The rules: named rewrites that move work out of the token loop. Each row is one local step, keeps
 * the meaning (`props/rules_test.ts`), and is found by structure, never by the name of a scheme.
 * @module
 */
import { contractBy, foldBy, map } from "../../dsl/core/build.ts";
import { concat, sliced } from "../../dsl/core/pieces.ts";
import { holdsCodes } from "../../dsl/core/codes.ts";
import { isDynamic } from "../../dsl/core/shape.ts";
import { spreadTo } from "../../dsl/core/spread.ts";
import type { Term } from "../../dsl/core/term.ts";
import {
  broadcastOutOfFold,
  concatInFold,
  factorOutOfFold,
  headsApart,
  repeatedOutOfFold,
  scaleOutOfFold,
  scaleToLargeFactor,
  sumOutOfFold,
} from "./folds.ts";
import { isTurn } from "./butterfly.ts";
import { piecesOf } from "./cut.ts";
import {
  isCached,
  isLess,
  isPlaced,
  isStored,
  type Labelled,
  meetsCache,
  permuteOperand,
  relabel,
  renamed,
  smallFactor,
  splitOperand,
  splitPieces,
} from "./labels.ts";
import { outOfLonePiece, pieceOutOfFold } from "./lone.ts";
import { keepsRange } from "./ranges.ts";
import { scaleToSmallFactor } from "./small.ts";
import { type Rule, VIEW_RULES } from "./views.ts";

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

const permuteOff = onOperand((term, i) => permuteOperand(term, i));

/** Does an operand meet a Hadamard matrix? In groups of its rows it would be taken for any matrix. */
const meetsTurn = (term: Labelled, i: number): boolean =>
  term.tag === "contract" && isTurn(term.args[1 - i]);

const reshapeOff = onOperand((term, i) =>
  meetsTurn(term, i) ? undefined : splitOperand(term, i) ?? splitPieces(term, i)
);

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

/** Is the value read from a cache, whatever is known of its size? Stored factors are met as a product. */
const isRead = (t: Term): boolean =>
  holdsCodes(t) || isCached(t) || (t.tag === "contract" && isStored(t));

/** Is it made of codes, or of rows of a table by places? */
const isDecoded = (t: Term): boolean => holdsCodes(t) || isPlaced(t);

const addApart = onOperand((term, i, operand) => {
  if (term.tag !== "contract" || operand.tag !== "map" || !isDecoded(operand)) return undefined;
  if (operand.op !== "add" && operand.op !== "sub" || meetsTurn(term, i)) return undefined;
  if (!operand.args.some(separable) && !operand.args.every(isRead)) return undefined;
  const [a, b] = operand.args.map((x) => relabel(term, term.labels, replaced(term.args, i, x)));
  return map(operand.op, a, b);
});

/** Ranges of a cache side by side: each meets its part of the other operand, or makes its part of the result. */
const concatApart = onOperand((term, i, operand) => {
  if (operand.tag !== "concat" || !isRead(operand)) return undefined;
  const label = term.labels.args[i][operand.axis];
  const at = term.labels.args[1 - i].indexOf(label);
  const to = term.labels.out.indexOf(label);
  const over = (part: Term, other: Term): Term =>
    relabel(term, term.labels, replaced(replaced(term.args, i, part), 1 - i, other));
  if (to >= 0) {
    return at >= 0 ? undefined : concat(operand.args.map((p) => over(p, term.args[1 - i])), to);
  }
  // Tokens of a fold, and a sum of one operand alone, stay as they are.
  if (term.tag !== "contract" || at < 0) return undefined;
  return piecesOf(operand.args.map((part) => part.shape[operand.axis]))
    .map(({ start, size }, k) => over(operand.args[k], sliced(term.args[1 - i], at, start, size)))
    .reduce((a, b) => map("add", a, b));
});

/** A scale of channels that is the same for all tokens is applied to the query. */
const scaledOther = (
  term: Labelled,
  i: number,
  own: readonly string[],
  scale: Term,
  rest: Term,
): Term | undefined => {
  const [axis, other] = [term.labels.args[1 - i], term.args[1 - i]];
  const met = meetsCache(rest, other) || (isPlaced(rest) && !isCached(other));
  if (isDynamic(scale.shape) || !met) return undefined;
  if (!own.every((l) => axis.includes(l))) return undefined;
  if (!isLess([[axis, other]], [[term.labels.args[i], rest]])) return undefined;
  const scaled = map("mul", other, spreadTo(scale, own, axis, other.shape));
  return relabel(term, term.labels, replaced(replaced(term.args, 1 - i, scaled), i, rest));
};

const scaleOut = onOperand((term, i, operand) => {
  if (
    term.tag !== "contract" || operand.tag !== "map" || operand.op !== "mul" || !isDecoded(operand)
  ) return undefined;
  const axis = term.labels.args[i];
  for (const [k, factor] of operand.args.entries()) {
    const rest = operand.args[1 - k];
    if (factor.tag === "constant") {
      const inner = relabel(term, term.labels, replaced(term.args, i, rest));
      return map("mul", inner, factor.value);
    }
    if (factor.tag !== "broadcast" || keepsRange(factor.args[0])) continue;
    const own = factor.axes.map((a) => axis[a]);
    const contracted = axis.filter((l) => !term.labels.out.includes(l));
    if (contracted.every((l) => own.includes(l))) {
      const scaled = scaledOther(term, i, own, factor.args[0], rest);
      if (scaled !== undefined) return scaled;
      continue;
    }
    const kept = contracted.filter((l) => own.includes(l));
    if (kept.length > 0 && meetsTurn(term, i)) continue;
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
  const names = term.labels.args[i];
  const tokens = names.filter((l) =>
    term.labels.out.includes(l) && !term.labels.args[1 - i].includes(l)
  );
  const small = smallFactor(operand, names, tokens);
  if (small < 0) return undefined;
  const { args, gone } = renamed(operand, names);
  const [large, other] = [1 - small, 1 - i];
  // From the cache to the query, never back.
  if (!meetsCache(operand.args[large], term.args[other])) return undefined;
  const before = operand.args.map((a, k) => [args[k], a] as const);
  const met = [term.labels.args[other], term.args[other]] as const;
  if (!isLess([met, before[small]], before)) return undefined;
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

/** What is computed: from the outputs down, so that a factor leaves before its scale is looked at. */
export const ALGEBRA_RULES: readonly Rule[] = [
  {
    name: "permute-off-operand",
    says: "A·permute(B) → product with B's labels",
    apply: permuteOff,
  },
  {
    name: "reshape-off-operand",
    says: "A·merge(B) → split(A)·B; A·(merge(B) | C) → split(A)·(B | split(C))",
    apply: reshapeOff,
  },
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
    name: "concat-apart",
    says: "q·(A | B) → q₁·A + q₂·B, p·(A | B) → p·A | p·B",
    apply: concatApart,
  },
  {
    name: "concat-in-fold",
    says: "Σₜ f(A | B) → Σₜ (f A | f B): a fold over tokens in pieces merges the folds over each",
    apply: concatInFold,
  },
  {
    name: "piece-out-of-fold",
    says: "Σₜ pₜ (A | L·S) → Σₜ pₜ (A | 0) + Σₜ pₜ (0 | L·S): a piece whose factor leaves a fold",
    apply: pieceOutOfFold,
  },
  {
    name: "out-of-lone-piece",
    says: "Σₜ pₜ (0 | L·S) → (Σₜ pₜ (0 | L))·S: what leaves a fold leaves one that is 0 elsewhere",
    apply: outOfLonePiece,
  },
  {
    name: "scale-out",
    says: "q·(s·c) → s·(q·c): a scale is applied once a group; one of channels: (q·s)·c",
    apply: scaleOut,
  },
  {
    name: "scale-to-small-factor",
    says: "(x·M)·w → x·(M·w), (x/s·M)·s → x·M: scales of columns meet the small factor",
    apply: scaleToSmallFactor,
  },
  {
    name: "factor-to-query",
    says: "q·(T_L·T_S) → (q·T_S)·T_L: the small factor leaves the token loop",
    apply: factorToOther,
  },
  {
    name: "heads-apart",
    says: "Σₜ pₜ (A | B), other heads in A than in B → Σₜ pₜ A | Σₜ pₜ B, each with its own scores",
    apply: headsApart,
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
    says: "Σₜ pₜ (a + b) → Σₜ pₜ a + Σₜ pₜ b, where both leave the fold or one is 0 but at a place",
    apply: sumOutOfFold,
  },
  {
    name: "repeated-out-of-fold",
    says: "maxₜ broadcast(s) → broadcast(maxₜ s), Σ broadcast(s) → n·Σ s",
    apply: repeatedOutOfFold,
  },
  {
    name: "factor-out-of-fold",
    says: "Σₜ pₜ (T_L·T_S) → (Σₜ pₜ T_L)·T_S; scales of tokens go to T_L first",
    apply: (term) => factorOutOfFold(term) ?? scaleToLargeFactor(term),
  },
];

/**
 * The same for what is certified: a fold over pieces stays one. As a sum of two its errors would be those of
 * both, each as far as its values reach: half as much again for a window.
 */
export const CERTIFIED_RULES: readonly Rule[] = ALGEBRA_RULES.filter((rule) =>
  rule.apply !== pieceOutOfFold
);

/** Every rule. */
export const RULES: readonly Rule[] = [...VIEW_RULES, ...ALGEBRA_RULES];
