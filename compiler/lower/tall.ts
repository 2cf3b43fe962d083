/**
 * Products of tall matrices: a result of few known sizes, summed over tokens. A Gram matrix is one.
 * @module
 */
import { isDynamic } from "../../dsl/core/shape.ts";
import type { Dim, Term, TermOf } from "../../dsl/core/term.ts";
import { leavesOf } from "../kernel.ts";

/** Results that stay close while rows go by. */
const MOST = 4096;

/** Labels of a tall product by the part they play: `[batch…, tokens, inner…, m]ᵀ · [batch…, tokens, inner…, n]`. */
export interface Tall {
  readonly batch: readonly string[];
  /** The label of named size that is summed over. */
  readonly tokens: string;
  /** Labels of known size that are summed over. */
  readonly inner: readonly string[];
  readonly m: string;
  readonly n: string;
  readonly dims: ReadonlyMap<string, Dim>;
  /** Both operands are the same: so are both halves of the result. */
  readonly symmetric: boolean;
}

/** The parts that labels play in a tall product, or nothing where it is none. */
export const tallOf = (t: Term): Tall | undefined => {
  if (t.tag !== "contract") return undefined;
  const { args: [a, b], out } = t.labels;
  const dims = new Map(
    t.labels.args.flatMap((axis, i) => axis.map((l, p): [string, Dim] => [l, t.args[i].shape[p]])),
  );
  const batch = out.filter((l) => a.includes(l) && b.includes(l));
  const gone = a.filter((l) => b.includes(l) && !out.includes(l));
  const [m, n] = [a, b].map((own, i) => own.filter((l) => ![a, b][1 - i].includes(l)));
  if (m.length !== 1 || n.length !== 1 || out.join() !== [...batch, ...m, ...n].join()) {
    return undefined;
  }
  const named = gone.filter((l) => typeof dims.get(l) === "string");
  const sizes = [m[0], n[0]].map((l) => dims.get(l)!);
  if (named.length !== 1 || isDynamic(sizes)) return undefined;
  const [M, N] = sizes as number[];
  if (M % 4 !== 0 || N % 4 !== 0 || M * N > MOST) return undefined;
  const places = (own: readonly string[], last: string): string =>
    own.map((l) => l === last ? "" : l).join();
  return {
    batch,
    tokens: named[0],
    inner: gone.filter((l) => l !== named[0]),
    m: m[0],
    n: n[0],
    dims,
    symmetric: t.args[0] === t.args[1] && places(a, m[0]) === places(b, n[0]),
  };
};

/** Rows, and the number that multiplies all of them, with the axes of the rows that it has. */
export interface Apart {
  readonly view: Term;
  readonly factor?: { readonly term: Term; readonly axes: readonly number[] };
}

/** Rows apart from what multiplies them, whose axes are among `batch`. */
export const apart = (term: Term, batch: readonly number[]): Apart => {
  if (term.tag !== "map" || term.op !== "mul") return { view: term };
  const [a, b] = term.args;
  for (const [view, by] of [[a, b], [b, a]]) {
    if (by.tag === "broadcast" && by.axes.every((axis) => batch.includes(axis))) {
      return { view, factor: { term: by.args[0], axes: by.axes } };
    }
  }
  return { view: term };
};

/** Columns of a row that registers hold beside their sums. */
export const CLOSE = 16;

/**
 * Is a fold the largest magnitude of the rows of a product with themselves, and are they multiplied by what is made
 * of it alone? Both are made in one walk then.
 */
export const scaledBy = (product: Term, fold: Term, stored: ReadonlySet<Term>): boolean => {
  const tall = tallOf(product);
  if (tall === undefined || !tall.symmetric || (tall.dims.get(tall.m) as number) > CLOSE) {
    return false;
  }
  if (fold.tag !== "fold" || fold.project !== "max" || fold.monoid !== "max") return false;
  const { args: [axis] } = (product as Term & TermOf<"contract">).labels;
  const batch = tall.batch.map((l) => axis.indexOf(l));
  const { view, factor } = apart((product as Term & TermOf<"contract">).args[0], batch);
  const [magnitude] = fold.args;
  return factor !== undefined && magnitude.tag === "map" && magnitude.op === "abs" &&
    magnitude.args[0] === view &&
    fold.labels.out.map((l) => fold.labels.args[0].indexOf(l)).join() === batch.join() &&
    leavesOf([factor.term], stored).every((leaf) => leaf === fold) &&
    leavesOf([view], new Set()).length === 1;
};
