/**
 * Products and folds of known size at an index: written out in registers, or as a loop.
 * @module
 */
import { argsOf, type Dim, type Term, type TermOf } from "../../dsl/core/term.ts";
import { across4, bin, type Expr, int, lane, madd, num, un, vec4 } from "../ir/expr.ts";
import { isHadamard } from "../rules/butterfly.ts";
import { COMBINE, PRODUCTS, reduceBox, reduceSideBySide, reduceTogether } from "./box.ts";
import { type Mark, markOf, placed } from "./marks.ts";
import type { Writer } from "./writer.ts";

type Index = readonly Expr[];

/** What gives the values of operands. */
export interface Values extends Writer {
  readonly at: (term: Term, index: Index) => Expr;
  readonly tryWide: (term: Term, index: Index, axis: number) => Expr | undefined;
  readonly wide: (term: Term, index: Index, axis: number) => Expr;
}

const staticSizes = (
  term: Term,
  labels: readonly string[],
  all: ReadonlyMap<string, Dim>,
): number[] =>
  labels.map((l) => {
    const n = all.get(l)!;
    if (typeof n !== "number") {
      throw new Error(`${term.tag} over the dynamic dim ${n} was left inside a kernel`);
    }
    return n;
  });

const labelTable = (term: TermOf<"contract"> | TermOf<"fold">): Map<string, Dim> =>
  new Map(
    term.labels.args.flatMap((axis, i) =>
      axis.map((l, k): [string, Dim] => [l, argsOf(term as Term)[i].shape[k]])
    ),
  );

/** What a product or a fold walks, the same at every index. */
interface Form {
  /** Labels that are summed over, and their sizes: the box. */
  readonly gone: readonly string[];
  readonly sizes: readonly number[];
  /** Where the axes of each operand lie: in the box, or in the index of the result. */
  readonly axes: readonly (readonly { readonly inBox: boolean; readonly at: number }[])[];
}

/** Terms never change: one that is asked for at many indices is looked at once. */
const forms = new WeakMap<Term, Form>();

const formOf = (term: TermOf<"contract"> | TermOf<"fold">): Form => {
  const known = forms.get(term as Term);
  if (known !== undefined) return known;
  const all = labelTable(term);
  const { args, out } = term.labels;
  const gone = [...all.keys()].filter((l) => !out.includes(l));
  const placeOf = (l: string) => {
    const inBox = !out.includes(l);
    return { inBox, at: (inBox ? gone : out).indexOf(l) };
  };
  const axes = args.map((axis) => axis.map(placeOf));
  const made = { gone, sizes: staticSizes(term as Term, gone, all), axes };
  forms.set(term as Term, made);
  return made;
};

const indexIn = (axes: Form["axes"][number], box: Index, index: Index): Expr[] =>
  axes.map(({ inBox, at }) => (inBox ? box : index)[at]);

/** What a contraction multiplies at an index, and over which sizes it sums. */
const productsOf = (
  low: Values,
  term: TermOf<"contract">,
  lanes?: number,
): {
  sizes: readonly number[];
  at: (index: Index) => (box: Index, wide: boolean) => readonly [Expr, Expr] | undefined;
} => {
  const { gone, sizes, axes } = formOf(term);
  const laneLabel = lanes === undefined ? undefined : term.labels.out[lanes];
  const [along, across] = [gone[gone.length - 1], laneLabel ?? ""]
    .map((l) => term.labels.args.map((axis) => axis.indexOf(l)));
  const operand = (i: number, index: Index, box: Index, wideBox: boolean): Expr | undefined => {
    const at = indexIn(axes[i], box, index);
    const lane = (wideBox ? along : across)[i];
    if (lane >= 0) {
      return wideBox ? low.tryWide(term.args[i], at, lane) : low.wide(term.args[i], at, lane);
    }
    return low.at(term.args[i], at);
  };
  return {
    sizes,
    at: (index) => (box, wideBox) => {
      if (wideBox && laneLabel !== undefined) return undefined;
      const [a, b] = [operand(0, index, box, wideBox), operand(1, index, box, wideBox)];
      return a && b ? [a, b] as const : undefined;
    },
  };
};

/** The operand of a product that is a mark summed over its places, where there is one. */
const markIn = (term: TermOf<"contract">): { i: number; mark: Mark } | undefined => {
  const { args } = term.labels;
  const { gone } = formOf(term);
  if (gone.length !== 1) return undefined;
  for (const [i, operand] of term.args.entries()) {
    const mark = markOf(operand);
    if (mark === undefined || args[i][mark.axis] !== gone[0]) continue;
    if (args[1 - i].includes(gone[0])) return { i, mark };
  }
  return undefined;
};

/** A product with a mark that is summed over its places: the other operand at the one that is marked. */
const markedAt = (
  low: Values,
  term: TermOf<"contract">,
): ((index: Index) => Expr) | undefined => {
  const found = markIn(term);
  if (found === undefined) return undefined;
  const { i, mark } = found;
  const { axes } = formOf(term);
  return (index) => {
    const place = placed((t, at) => low.at(t, at), mark, indexIn(axes[i], [int(0)], index));
    const other = low.at(term.args[1 - i], indexIn(axes[1 - i], [place.at], index));
    return place.is(other, num(0));
  };
};

/** A contraction at an index; `lanes` is the result axis that is read four at a time. */
export const contractAt = (
  low: Values,
  term: TermOf<"contract">,
  index: Index,
  lanes?: number,
  across = true,
): Expr => {
  const marked = markedAt(low, term);
  if (marked !== undefined) {
    return lanes === undefined ? marked(index) : vec4(
      [0, 1, 2, 3].map((k) => marked(index.map((x, i) => i === lanes ? bin("add", x, int(k)) : x))),
    );
  }
  const { sizes, at } = productsOf(low, term, lanes);
  return reduceBox(low, sizes, PRODUCTS, at(index), across);
};

/** A contraction at several indices side by side, each as four partial sums or as one value. */
export const contractTogether = (
  low: Values,
  term: TermOf<"contract">,
  indices: readonly Index[],
  chains = 1,
): Expr[] => {
  const marked = markedAt(low, term);
  if (marked !== undefined) return indices.map(marked);
  const { sizes, at } = productsOf(low, term);
  return reduceSideBySide(low, sizes, PRODUCTS, indices.map(at), chains);
};

/** Do four neighbours of a result axis lie side by side in the operands that have it? */
const lanesLie = (low: Values, term: TermOf<"contract">, axis: number): boolean =>
  term.args.every((arg, i) => {
    const at = term.labels.args[i].indexOf(term.labels.out[axis]);
    return at < 0 || low.tryWide(arg, arg.shape.map(() => int(0)), at) !== undefined;
  });

/** Four lanes times H₄: each lane to all of them, with signs that are known. */
const signsInLanes = (
  low: Values,
  term: TermOf<"contract">,
  index: Index,
  axis: number,
): Expr | undefined => {
  const [x, m] = term.args;
  const [ofX, ofM] = term.labels.args;
  const [row, col] = ofM;
  if (!isHadamard(m) || m.shape[0] !== 4 || term.labels.out[axis] !== col) return undefined;
  const at = ofX.map((l) => l === row ? int(0) : index[term.labels.out.indexOf(l)]);
  const four = low.tryWide(x, at, ofX.indexOf(row));
  if (four === undefined) return undefined;
  const lanes = [0, 1, 2, 3];
  return lanes.slice(1).reduce<Expr>(
    (sum, i) => {
      const signs = vec4(lanes.map((j) => low.at(m, [int(i), int(j)])));
      return madd(un("splat", lane(four, i)), signs, sum);
    },
    un("splat", lane(four, 0)),
  );
};

/**
 * Four neighbouring results: lanes along them where they lie side by side, else four sums whose
 * lanes run along the contraction, brought together at the end.
 */
export const contractWide = (
  low: Values,
  term: TermOf<"contract">,
  index: Index,
  axis: number,
): Expr => {
  if (lanesLie(low, term, axis)) return contractAt(low, term, index, axis);
  const turned = signsInLanes(low, term, index, axis);
  if (turned !== undefined) return turned;
  const sums = [0, 1, 2, 3].map((k) =>
    contractParts(low, term, index.map((x, i) => i === axis ? bin("add", x, int(k)) : x))
  );
  return sums.every((s) => s.type === "f32x4")
    ? across4("hsum", sums)
    : contractAt(low, term, index, axis);
};

/** A contraction at an index as four partial sums where its lanes run along it, else as one value. */
export const contractParts = (low: Values, term: TermOf<"contract">, index: Index): Expr =>
  contractAt(low, term, index, undefined, false);

type Kind = keyof typeof COMBINE;

const KINDS: Readonly<Record<string, Kind>> = { sum: "sum", max: "max", lo: "min", hi: "max" };

/** A fold of known size at an index: its box, and the elements of it. */
const foldBox = (
  low: Values,
  term: TermOf<"fold">,
  index: Index,
  lanes?: number,
): {
  kind: Kind;
  sizes: readonly number[];
  element: (box: Index, wide: boolean) => Expr | undefined;
} => {
  const kind = KINDS[term.project];
  if (kind === undefined) throw new Error(`fold ${term.monoid} was left inside a kernel`);
  const [axis] = term.labels.args;
  const { gone, sizes, axes } = formOf(term);
  const lane = lanes === undefined ? -1 : axis.indexOf(term.labels.out[lanes]);
  const element = (box: Index, wideBox: boolean): Expr | undefined => {
    const at = indexIn(axes[0], box, index);
    if (lane >= 0) return wideBox ? undefined : low.wide(term.args[0], at, lane);
    return wideBox
      ? low.tryWide(term.args[0], at, axis.indexOf(gone[gone.length - 1]))
      : low.at(term.args[0], at);
  };
  return { kind, sizes, element };
};

export const foldAt = (low: Values, term: TermOf<"fold">, index: Index, lanes?: number): Expr => {
  const { kind, sizes, element } = foldBox(low, term, index, lanes);
  return reduceBox(low, sizes, COMBINE[kind], element);
};

/** Do folds take the same values along the same axes? */
const sameWalk = (a: TermOf<"fold">, b: TermOf<"fold">): boolean =>
  a.args[0] === b.args[0] && a.labels.args[0].join() === b.labels.args[0].join() &&
  a.labels.out.join() === b.labels.out.join();

/**
 * Four results of each of some folds, at places `at(fold, 0)` … `at(fold, 3)`: lanes run along what is folded, and are
 * joined for all four results at once. Folds of the same values share the walk.
 */
export const foldsAtFour = <F extends TermOf<"fold">>(
  low: Values,
  folds: readonly F[],
  at: (fold: F, k: number) => Index,
): Expr[] => {
  const out = new Map<TermOf<"fold">, Expr>();
  for (const fold of folds) {
    if (out.has(fold)) continue;
    const together = folds.filter((f) => sameWalk(f, fold));
    const kinds: Kind[] = [];
    const parts = [0, 1, 2, 3].map((k) => {
      const index = at(fold, k);
      const { sizes, element } = foldBox(low, fold, index);
      together.forEach((f, i) => kinds[i] = foldBox(low, f, index).kind);
      return reduceTogether(low, sizes, kinds.map((kind) => COMBINE[kind]), element);
    });
    together.forEach((f, i) => {
      const four = parts.map((p) => p[i]);
      out.set(
        f,
        four[0].type === "f32x4" ? across4(COMBINE[kinds[i]].across, four) : vec4(four),
      );
    });
  }
  return folds.map((f) => out.get(f)!);
};
