/**
 * Bounds of the 2-norm of an error along axes. Through a linear map they are sharper than the norm of
 * the elementwise bound, and exact for orthogonal maps:
 *
 * ```text
 * ‖e·S‖₂² = e·(S·Sᵀ)·eᵀ ≤ |e|·|S·Sᵀ|·|e|ᵀ        S·Sᵀ = 1 for a rotation, diagonal for Σ·Vᵀ
 * ‖e·S‖₂ ≤ ‖e‖₂·√max_k Σ_k' |S·Sᵀ|               where only ‖e‖₂ is known: ‖·‖₂ ≤ ‖·‖_∞ of a symmetric matrix
 * ‖Σ_k e_k·s_k‖₂ ≤ Σ_k ‖e_k‖₂·|s_k|               where the norm is not along S
 * ‖a + b‖₂ ≤ ‖a‖₂ + ‖b‖₂
 * |q·e| ≤ ‖q‖₂·‖e‖₂                               Cauchy–Schwarz
 * ```
 * @module
 */
import { broadcast, contractBy, foldBy, foldOver, map, permute, reshape } from "../core/build.ts";
import { regroups } from "../core/shape.ts";
import type { Dim, Term, TermOf } from "../core/term.ts";
import { type Context, type Error, magnitude, sum, times } from "./known.ts";

const without = <A>(list: readonly A[], axes: readonly number[]): A[] =>
  list.filter((_, i) => !axes.includes(i));

const square = (x: Term): Term => map("mul", x, x);

/** √Σ e² along axes. */
export const normOver = (e: Term, axes: readonly number[]): Term =>
  map("sqrt", foldOver("sum", "sum", square(e), axes));

/** Does the error of a term come through a linear map that is exact? */
const isMapped = (t: Term, c: Context): boolean => {
  if (c.of(t).error === undefined) return false;
  switch (t.tag) {
    case "contract":
      return t.args.filter((a) => c.of(a).error !== undefined).length === 1;
    case "reshape":
    case "permute":
    case "broadcast":
    case "slice":
      return isMapped(t.args[0], c);
    case "map":
      return (t.op === "add" || t.op === "sub" || t.op === "neg" ||
        (t.op === "mul" && t.args.some((a) => c.of(a).error === undefined))) &&
        t.args.some((a) => isMapped(a, c));
    default:
      return false;
  }
};

/** Of a product by the labels of its result that the norm runs along. */
const contractNorm = (t: TermOf<"contract">, axes: readonly number[], c: Context): Error => {
  const off = t.args.findIndex((a) => c.of(a).error !== undefined);
  const [ea, la] = [t.args[off], t.labels.args[off]];
  const [s, ls] = [magnitude(c.of(t.args[1 - off]), c), t.labels.args[1 - off]];
  const plain = c.of(t.args[1 - off]).value;
  const along = axes.map((i) => t.labels.out[i]);
  const out = t.labels.out.filter((l) => !along.includes(l));
  // A label that both operands have, and the norm runs along, is a batch of maps: no rule.
  if (along.some((l) => la.includes(l) && ls.includes(l))) return undefined;
  const own = along.filter((l) => la.includes(l));
  const mixed = along.filter((l) => ls.includes(l));
  const at = (labels: readonly string[]): number[] => labels.map((l) => la.indexOf(l));
  const rest = la.filter((l) => !own.includes(l));
  if (mixed.length === 0) {
    const inner = normOf(ea, at(own), c);
    return inner && contractBy({ args: [rest, ls], out }, inner, s);
  }
  const gone = la.filter((l) => !t.labels.out.includes(l) && ls.includes(l));
  if (la.some((l) => !t.labels.out.includes(l) && !ls.includes(l))) return undefined;
  if (ls.some((l) => !t.labels.out.includes(l) && !la.includes(l))) return undefined;
  const twin = (l: string): string => gone.includes(l) ? `${l}'` : l;
  const kept = ls.filter((l) => !mixed.includes(l));
  const pairs = [...kept, ...gone.map(twin)];
  const gram = map("abs", contractBy({ args: [ls, ls.map(twin)], out: pairs }, plain, plain));
  if (isMapped(ea, c)) {
    const inner = normOf(ea, at([...own, ...gone]), c);
    const rows = foldBy("sum", "sum", { args: [pairs], out: kept }, [gram]);
    const free = kept.filter((l) => !gone.includes(l));
    const most = foldBy("max", "max", { args: [kept], out: free }, [rows]);
    const left = rest.filter((l) => !gone.includes(l));
    return inner && contractBy({ args: [left, free], out }, inner, map("sqrt", most));
  }
  const e = c.of(ea).error!;
  const half = [...new Set([...la, ...pairs])].filter((l) => !gone.includes(l));
  const mixing = contractBy({ args: [la, pairs], out: half }, e, gram);
  return map("sqrt", contractBy({ args: [half, la.map(twin)], out }, mixing, e));
};

/** Axes of a reshape's argument that lie within some of its axes, and what is left of those. */
const reshapeNorm = (t: TermOf<"reshape">, axes: readonly number[], c: Context): Error => {
  const [arg] = t.args;
  const whole: number[] = [];
  const middle: Dim[] = [];
  const later: number[] = [];
  const kept: Dim[] = [];
  for (const { from, to } of regroups(arg.shape, t.shape)) {
    const made = t.shape.slice(...to);
    const wanted = made.map((_, k) => axes.includes(to[0] + k));
    if (!wanted.includes(true)) {
      middle.push(...made);
      kept.push(...made);
      continue;
    }
    if (wanted.every((w) => w)) {
      for (let i = from[0]; i < from[1]; i++) whole.push(i);
      continue;
    }
    // Only the last axes of the group are wanted: the argument's axes that fit into them are whole.
    const first = wanted.indexOf(true);
    if (wanted.slice(first).includes(false) || made.some((d) => typeof d === "string")) {
      return undefined;
    }
    let inner = made.slice(first).reduce<number>((n, d) => n * (d as number), 1);
    let i = from[1];
    while (i > from[0] && inner % (arg.shape[i - 1] as number) === 0) {
      inner /= arg.shape[--i] as number;
      whole.push(i);
    }
    middle.push(...made.slice(0, first));
    kept.push(...made.slice(0, first));
    if (inner > 1) {
      later.push(middle.length);
      middle.push(inner);
    }
  }
  const norm = normOf(arg, whole.sort((a, b) => a - b), c);
  if (norm === undefined) return undefined;
  if (later.length === 0) return reshape(norm, kept);
  return map("sqrt", foldOver("sum", "sum", square(reshape(norm, middle)), later));
};

const mapNorm = (t: TermOf<"map">, axes: readonly number[], c: Context): Error => {
  if (t.op === "add" || t.op === "sub" || t.op === "neg") {
    return sum(...t.args.map((a) => normOf(a, axes, c)));
  }
  const off = t.args.findIndex((a) => c.of(a).error !== undefined);
  const by = foldOver("max", "max", magnitude(c.of(t.args[1 - off]), c), axes);
  const inner = normOf(t.args[off], axes, c);
  return inner && map("mul", inner, by);
};

const broadcastNorm = (t: TermOf<"broadcast">, axes: readonly number[], c: Context): Error => {
  const copies = axes.filter((a) => !t.axes.includes(a)).map((a) => t.shape[a]);
  if (copies.some((d) => typeof d === "string")) return undefined;
  const count = copies.reduce<number>((n, d) => n * (d as number), 1);
  const own = axes.filter((a) => t.axes.includes(a)).map((a) => t.axes.indexOf(a));
  const norm = normOf(t.args[0], own, c);
  const left = t.axes.filter((a) => !axes.includes(a));
  const places = t.shape.map((_, i) => i).filter((i) => !axes.includes(i));
  return norm &&
    broadcast(
      times(norm, Math.sqrt(count)),
      without(t.shape, axes),
      left.map((a) => places.indexOf(a)),
    );
};

const mappedNorm = (t: Term, axes: readonly number[], c: Context): Error => {
  switch (t.tag) {
    case "contract":
      return contractNorm(t, axes, c);
    case "reshape":
      return reshapeNorm(t, axes, c);
    case "permute": {
      const norm = normOf(t.args[0], axes.map((a) => t.axes[a]).sort((a, b) => a - b), c);
      const left = without(t.axes, axes);
      const order = [...left].sort((a, b) => a - b);
      return norm && permute(norm, left.map((a) => order.indexOf(a)));
    }
    case "broadcast":
      return broadcastNorm(t, axes, c);
    case "map":
      return mapNorm(t, axes, c);
    default:
      return undefined;
  }
};

/** Bound of the 2-norm along axes of the error by roundings to stored types, nothing where there is none. */
export const normOf = (t: Term, axes: readonly number[], c: Context): Error => {
  const { error } = c.of(t);
  if (error === undefined || axes.length === 0) return error;
  const mapped = isMapped(t, c) ? mappedNorm(t, axes, c) : undefined;
  return mapped ?? normOver(error, axes);
};

/** |q·e| ≤ ‖q‖₂·‖e‖₂ for a product of the exact operand `which`, where the other's error is mapped. */
export const crossNorm = (t: TermOf<"contract">, which: number, c: Context): Error => {
  const other = t.args[1 - which];
  if (!isMapped(other, c)) return undefined;
  const [lq, le] = [t.labels.args[which], t.labels.args[1 - which]];
  const { out } = t.labels;
  const gone = le.filter((l) => !out.includes(l));
  if (
    gone.length === 0 ||
    [...lq, ...le].some((l) => !out.includes(l) && !(lq.includes(l) && le.includes(l)))
  ) {
    return undefined;
  }
  const at = (labels: readonly string[]): number[] => gone.map((l) => labels.indexOf(l));
  const norm = normOf(other, at(le).sort((a, b) => a - b), c);
  const q = normOver(magnitude(c.of(t.args[which]), c), at(lq).sort((a, b) => a - b));
  const left = (labels: readonly string[]): string[] => labels.filter((l) => !gone.includes(l));
  return norm && contractBy({ args: [left(lq), left(le)], out }, q, norm);
};
