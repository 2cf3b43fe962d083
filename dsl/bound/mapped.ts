/**
 * Linear maps of softmax folds. The bound of a fold counts the range of its values; where a map follows,
 * the range of what comes out is sharper than that of each channel before.
 *
 * Before: `(Σₜ pₜ·v)·S`; after: `Σₜ pₜ·(v·S)`, also where the channels are merged in between.
 * @module
 */
import { contractBy, foldBy, reshape } from "../core/build.ts";
import { regroups } from "../core/shape.ts";
import type { Dim, Term, TermOf } from "../core/term.ts";
import type { Context } from "./known.ts";

/** A softmax fold whose channels are merged is the fold of merged values. */
const mergedFold = (t: Term): (Term & TermOf<"fold">) | undefined => {
  if (t.tag === "fold" && t.monoid === "softmax") return t as Term & TermOf<"fold">;
  if (t.tag !== "reshape") return undefined;
  const [fold] = t.args;
  if (fold.tag !== "fold" || fold.monoid !== "softmax") return undefined;
  const [scores, values] = fold.args;
  const [ls, lv] = fold.labels.args;
  const out: string[] = [];
  const merged = new Map<string, { label: string; dim: Dim }>();
  for (const { from, to } of regroups(fold.shape, t.shape)) {
    const labels = fold.labels.out.slice(...from);
    if (to[1] - to[0] !== 1 || labels.length === 0) return undefined;
    if (labels.length > 1 && labels.some((l) => ls.includes(l))) return undefined;
    labels.forEach((l) => merged.set(l, { label: labels[0], dim: t.shape[to[0]] }));
    out.push(labels[0]);
  }
  const kept = lv.filter((l) => (merged.get(l)?.label ?? l) === l);
  // Merged axes lie side by side, in the same order.
  if (
    lv.join() !==
      kept.flatMap((l) =>
        [...merged].filter(([, m]) => m.label === l).map(([k]) => k).concat(
          merged.has(l) ? [] : [l],
        )
      ).join()
  ) {
    return undefined;
  }
  const shape = kept.map((l) => merged.get(l)?.dim ?? values.shape[lv.indexOf(l)]);
  const made = foldBy("softmax", "mean", { args: [ls, kept], out }, [
    scores,
    reshape(values, shape),
  ]);
  return { ...made, ...weightsOf(fold) } as Term & TermOf<"fold">;
};

const weightsOf = (fold: Term): Pick<TermOf<"fold">, "weights"> =>
  fold.tag === "fold" && fold.weights !== undefined ? { weights: fold.weights } : {};

/** A linear map of a softmax fold is the fold of mapped values: their range is what counts. */
export const mappedFold = (t: TermOf<"contract">, c: Context): TermOf<"fold"> | undefined => {
  const folds = t.args.map(mergedFold);
  const at = folds.findIndex((f) => f !== undefined);
  const fold = folds[at];
  if (fold === undefined || c.of(t.args[at]).error === undefined) return undefined;
  const other = t.args[1 - at];
  const [scores, values] = fold.args;
  const [ls, lv] = fold.labels.args;
  const [lf, lo] = [t.labels.args[at], t.labels.args[1 - at]];
  const name = (l: string): string => {
    const i = fold.labels.out.indexOf(l);
    return i < 0 ? `${l} token` : lf[i];
  };
  const [score, value] = [ls.map(name), lv.map(name)];
  const gone = lf.filter((l) => !t.labels.out.includes(l));
  // Only channels of the values may be mixed, and the map may not depend on rows of its own.
  if (gone.some((l) => score.includes(l) || !value.includes(l) || !lo.includes(l))) {
    return undefined;
  }
  if (lo.some((l) => !t.labels.out.includes(l) && !gone.includes(l))) return undefined;
  if (lo.some((l) => score.includes(l) && !value.includes(l))) return undefined;
  const mixed = [...new Set([...value, ...lo])].filter((l) => !gone.includes(l));
  const mapped = contractBy({ args: [value, lo], out: mixed }, values, other);
  const labels = { args: [score, mixed], out: t.labels.out };
  const made = foldBy("softmax", "mean", labels, [scores, mapped]);
  return { ...made as Term & TermOf<"fold">, ...weightsOf(fold) };
};
