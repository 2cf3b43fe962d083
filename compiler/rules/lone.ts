/**
 * Rules of folds over tokens in pieces, of which one has what leaves a fold: a window in halves around tokens
 * with a small factor. The piece gets a fold of its own over the same scores, in which all others are 0, and what
 * leaves a fold over it leaves this one: a mean is linear in its values.
 *
 * ```text
 * before: Σₜ pₜ (A | L·S | B)
 * after:  Σₜ pₜ (A | 0 | B) + (Σₜ pₜ (0 | L | 0))·S       one kernel; a piece of zeros adds nothing
 * ```
 *
 * Not yet: pieces with the same factor have a fold each.
 * @module
 */
import { constant, input, map, reshape } from "../../dsl/core/build.ts";
import { concat } from "../../dsl/core/pieces.ts";
import {
  argsOf,
  type Dim,
  exchanged,
  type Term,
  type TermOf,
  topological,
} from "../../dsl/core/term.ts";
import { streamRefusal } from "../lower/roles.ts";
import {
  broadcastOutOfFold,
  factorOutOfFold,
  leavesScaled,
  scaleOutOfFold,
  scaleToLargeFactor,
  sumOutOfFold,
} from "./folds.ts";
import { asNumber, type Labelled, permuteOperand, relabel, splitOperand } from "./labels.ts";
import { viewed } from "./views.ts";

type Fold = Term & TermOf<"fold">;
type Concat = Term & TermOf<"concat">;

/** The label that a fold sums over, if it is one that both operands have. */
const tokenOf = ({ labels: { args: [scores], out } }: Fold): string =>
  scores.find((l) => !out.includes(l))!;

/** A fold over values in pieces along its tokens. */
const inPieces = (term: Term): { fold: Fold; values: Concat; at: number } | undefined => {
  if (term.tag !== "fold" || term.monoid !== "softmax" || streamRefusal(term) !== undefined) {
    return undefined;
  }
  const values = term.args[1];
  const at = term.labels.args[1].indexOf(tokenOf(term));
  return values.tag === "concat" && values.axis === at ? { fold: term, values, at } : undefined;
};

const isZero = (t: Term): boolean => t.tag === "constant" && t.value === 0;

/** Scores stand for themselves: only how they are labelled matters to what leaves a fold. */
const scoresOf = (fold: Fold, tokens: Dim): Term => {
  const token = tokenOf(fold);
  const shape = fold.args[0].shape.map((d, i) => fold.labels.args[0][i] === token ? tokens : d);
  return input("scores of a piece", shape, "f32");
};

/** A step of a fold over one piece towards a smaller one. */
const stepOf = (fold: Fold): Term | undefined =>
  permuteOperand(fold, 1) ?? splitOperand(fold, 1) ?? scaleOutOfFold(fold) ??
    broadcastOutOfFold(fold) ?? sumOutOfFold(fold) ?? factorOutOfFold(fold) ??
    scaleToLargeFactor(fold);

/** The folds over some scores, or over a view of them, in what a step made. */
const foldsOver = (made: Term, scores: Term): Fold[] =>
  topological([made]).filter((t): t is Fold =>
    t.tag === "fold" && t.monoid === "softmax" &&
    (t.args[0] === scores || t.args[0].tag === "reshape" && argsOf(t.args[0])[0] === scores)
  );

/** Does a small factor or a scale of channels leave a fold over one piece, sooner or later? */
const leavesSooner = (fold: Fold, scores: Term): boolean => {
  const made = stepOf(fold);
  if (made === undefined) return false;
  if (factorOutOfFold(fold) === made || leavesScaled(fold)) return true;
  return foldsOver(viewed(made), scores).some((own) => leavesSooner(own, scores));
};

/** A fold over one of the pieces, by itself. */
const alone = ({ fold, values, at }: { fold: Fold; values: Concat; at: number }, i: number) => {
  const scores = scoresOf(fold, values.args[i].shape[at]);
  const own = relabel(fold as Labelled, fold.labels, [scores, values.args[i]]) as Fold;
  return { own, scores };
};

/** The piece with zeros in the place of all others, or the others with zeros in its place. */
const zeroed = (values: Concat, which: (i: number) => boolean): Term =>
  concat(values.args.map((v, i) => which(i) ? constant(0, v.shape) : v), values.axis);

/** `Σ (A | L·S | B) → Σ (A | 0 | B) + Σ (0 | L·S | 0)`; see the head of the file. */
export const pieceOutOfFold = (term: Term): Term | undefined => {
  const found = inPieces(term);
  if (found === undefined) return undefined;
  const { fold, values } = found;
  const real = values.args.flatMap((v, i) => isZero(v) ? [] : [i]);
  if (real.length < 2) return undefined;
  const one = real.find((i) => {
    const { own, scores } = alone(found, i);
    return leavesSooner(own, scores);
  });
  if (one === undefined) return undefined;
  const mean = (of: Term): Term => relabel(fold as Labelled, fold.labels, [fold.args[0], of]);
  return map(
    "add",
    mean(zeroed(values, (i) => i === one)),
    mean(zeroed(values, (i) => i !== one)),
  );
};

/** A fold over one piece as one over all, the others 0. */
const widened = (
  own: Fold,
  scores: Term,
  { fold, values, at }: { fold: Fold; values: Concat; at: number },
  which: number,
): Term | undefined => {
  if (streamRefusal(own) !== undefined) return undefined;
  const token = tokenOf(own);
  const [ofScores, ofValues] = own.labels.args;
  const sized = (shape: readonly Dim[], axis: number, size: Dim): Dim[] =>
    shape.map((d, i) => i === axis ? size : d);
  const along = ofValues.indexOf(token);
  const whole = concat(
    values.args.map((v, i) =>
      i === which
        ? asNumber(own.args[1])
        : constant(0, sized(own.args[1].shape, along, v.shape[at]))
    ),
    along,
  );
  const all = own.args[0] === scores ? fold.args[0] : reshape(
    fold.args[0],
    sized(own.args[0].shape, ofScores.indexOf(token), values.shape[at]),
  );
  return relabel(own as Labelled, own.labels, [all, whole]);
};

/** What leaves a fold over the only piece that is not 0 leaves the fold over all of them. */
export const outOfLonePiece = (term: Term): Term | undefined => {
  const found = inPieces(term);
  if (found === undefined) return undefined;
  const real = found.values.args.flatMap((v, i) => isZero(v) ? [] : [i]);
  if (real.length !== 1 || found.values.args.length < 2) return undefined;
  const { own, scores } = alone(found, real[0]);
  const made = stepOf(own);
  if (made === undefined) return undefined;
  const wide = new Map<Term, Term>();
  for (const each of foldsOver(made, scores)) {
    const whole = widened(each, scores, found, real[0]);
    if (whole === undefined) return undefined;
    wide.set(each, whole);
  }
  return wide.size === 0 ? undefined : exchanged(made, wide);
};
