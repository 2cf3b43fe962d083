/**
 * Which axes of a staged term belong to the row and which are held in group memory: found by
 * lowering the roots at a symbolic index and looking at the indices the staged term is asked for.
 * @module
 */
import { isDynamic } from "../../dsl/core/shape.ts";
import type { Shape, Term } from "../../dsl/core/term.ts";
import { type Expr, freshExprs, int, num, uniform, variable } from "../ir/expr.ts";
import { Lower } from "./at.ts";
import { constantSource } from "./memory.ts";

/** Axes of a staged term: `rowOf[a]` is the row axis that axis a equals, the others are held. */
export interface HeldAxes {
  readonly held: readonly number[];
  readonly rowOf: readonly (number | undefined)[];
}

/** The axes with the one whose size has a name first, where that is neither first nor last. */
export const rowsFirst = (shape: Shape): readonly number[] | undefined => {
  const at = shape.findIndex((d) => typeof d === "string");
  if (at <= 0 || isDynamic(shape.slice(at + 1)) || at === shape.length - 1) return undefined;
  return [at, ...shape.flatMap((_, a) => a === at ? [] : [a])];
};

/** Values of a staged term that are held for one row. */
export const heldCount = (term: Term, { held }: HeldAxes): number =>
  held.reduce((n, a) => n * (term.shape[a] as number), 1);

/** Variables that an expression depends on. */
const variablesOf = (
  e: Expr,
  into: Set<string> = new Set(),
  seen: Set<Expr> = new Set(),
): Set<string> => {
  if (seen.has(e)) return into;
  seen.add(e);
  if (e.op === "var") into.add(e.name);
  e.args.forEach((a) => variablesOf(a, into, seen));
  return into;
};

/** Indices at which each of `watched` is read when `root` is read at `index`. */
const readsOf = (
  root: Term,
  index: readonly Expr[],
  watched: readonly Term[],
  low: Lower,
): Map<Term, Expr[][]> => {
  const reads = new Map<Term, Expr[][]>(watched.map((t) => [t, []]));
  watched.forEach((t) =>
    low.sources.set(t, {
      at: (i) => {
        reads.get(t)!.push([...i]);
        return num(0);
      },
      wide: (i) => {
        reads.get(t)!.push([...i]);
        return undefined;
      },
    })
  );
  low.inBlock(() => low.at(root, index));
  return reads;
};

/** A lowering that answers every leaf with 0: only indices matter. */
const ghost = (leaves: readonly Term[]): Lower => {
  const low = new Lower((d) => typeof d === "number" ? int(d) : uniform(d));
  low.symbolic = true;
  leaves.forEach((t) => low.sources.set(t, constantSource(num(0))));
  return low;
};

/** Index variables of a term: row axes are named apart from the others. */
const symbols = (term: Term, rowOf: readonly (number | undefined)[]): Expr[] =>
  term.shape.map((d, a) => {
    const name = rowOf[a] !== undefined ? `row${rowOf[a]}` : `in${a}`;
    return variable(name, "i32", { lo: 0, hi: typeof d === "number" ? d - 1 : Infinity });
  });

/** Row and held axes of a term from the indices it is read at, or nothing if they mix. */
const axesOf = (term: Term, indices: readonly Expr[][]): HeldAxes | undefined => {
  let known: HeldAxes | undefined;
  for (const index of indices) {
    const rowOf = index.map((e) => {
      const names = [...variablesOf(e)];
      const rows = names.filter((n) => n.startsWith("row"));
      if (rows.length === 0) return undefined;
      return e.op === "var" && names.length === 1 ? Number(rows[0].slice(3)) : -1;
    });
    const held = rowOf.flatMap((r, a) => r === undefined ? [a] : []);
    if (rowOf.includes(-1) || held.some((a) => typeof term.shape[a] !== "number")) return undefined;
    if (known !== undefined && known.rowOf.join() !== rowOf.join()) return undefined;
    known = { held, rowOf };
  }
  return known ?? { held: [], rowOf: [] };
};

/** How every staged term depends on the row, or nothing if one mixes row and inner axes. */
export const analyseRow = (
  roots: readonly Term[],
  staged: readonly Term[],
  rowAxes: number,
  leaves: readonly Term[],
): Map<Term, HeldAxes> | undefined => {
  freshExprs();
  const axes = new Map<Term, HeldAxes>();
  const learn = (term: Term, indices: readonly Expr[][]): boolean => {
    if (indices.length === 0) return true;
    const made = axesOf(term, indices);
    const old = axes.get(term);
    if (made === undefined || (old !== undefined && old.rowOf.join() !== made.rowOf.join())) {
      return false;
    }
    axes.set(term, made);
    return true;
  };
  const from = (term: Term, rowOf: readonly (number | undefined)[]): boolean => {
    const low = ghost(leaves);
    const watched = staged.filter((t) => t !== term);
    const reads = readsOf(term, symbols(term, rowOf), watched, low);
    return [...reads].every(([t, indices]) => learn(t, indices));
  };
  for (const root of roots) {
    const rowOf = root.shape.map((_, a) => a < rowAxes ? a : undefined);
    if (staged.includes(root)) {
      // Another root may read it along other axes: equal sizes are not equal rows.
      const old = axes.get(root);
      if (old !== undefined && old.rowOf.join() !== rowOf.join()) return undefined;
      axes.set(root, { held: rowOf.flatMap((r, a) => r === undefined ? [a] : []), rowOf });
    } else if (!from(root, rowOf)) return undefined;
  }
  // Operands come first in `staged`; consumers are looked at before what they read.
  for (const term of [...staged].reverse()) {
    const known = axes.get(term);
    if (known === undefined) return undefined;
    const softmax = term.tag === "fold" && term.monoid === "softmax";
    if (!softmax && !from(term, known.rowOf)) return undefined;
  }
  return axes;
};

/** What a streaming fold holds in group memory. */
export interface StreamAxes {
  /** Heavy terms that do not change along tokens. */
  readonly staged: ReadonlyMap<Term, HeldAxes>;
  /** Products that change with the token, one value a token and held index: `token` is that axis. */
  readonly moving: ReadonlyMap<Term, HeldAxes & { readonly token: number }>;
  /** What those products meet that is the same for runs of tokens: `token` is that axis. */
  readonly paced: ReadonlyMap<Term, HeldAxes & { readonly token: number }>;
}

/**
 * Row, held and token axes of a product read at one token, or nothing if they mix; `looked`: at places along other
 * axes that the token may say.
 */
const movingAxes = (
  term: Term,
  indices: readonly Expr[][],
  looked = false,
): (HeldAxes & { token: number }) | undefined => {
  const isToken = (e: Expr): boolean => e.op === "var" && e.name === "token";
  const token = indices[0]?.findIndex(isToken) ?? -1;
  if (token < 0 || indices.some((i) => i.findIndex(isToken) !== token)) return undefined;
  const others = indices.map((i) =>
    i.map((e, a) => a === token || (looked && variablesOf(e).has("token")) ? int(0) : e)
  );
  if (others.some((i) => i.some((e) => variablesOf(e).has("token")))) return undefined;
  const zero: Term = { ...term, shape: term.shape.map((d, a) => a === token ? 1 : d) };
  const axes = axesOf(zero, others);
  return axes && { rowOf: axes.rowOf, held: axes.held.filter((a) => a !== token), token };
};

/**
 * Heavy terms of a streaming fold: those that stay the same along its tokens, and the products that
 * are made once a token. `names` calls an axis `row…`, `in…` or `token`.
 */
export const analyseStream = (
  args: readonly { readonly term: Term; readonly names: readonly string[] }[],
  heavy: readonly Term[],
  candidates: readonly Term[],
  leaves: readonly Term[],
  slow: readonly Term[] = [],
): StreamAxes => {
  freshExprs();
  const readsIn = (watched: readonly Term[]): Map<Term, Expr[][]> => {
    const low = ghost(leaves);
    const found = new Map<Term, Expr[][]>();
    for (const { term, names } of args) {
      const index = term.shape.map((d, a) =>
        variable(names[a], "i32", { lo: 0, hi: typeof d === "number" ? d - 1 : Infinity })
      );
      readsOf(term, index, watched, low).forEach((v, t) =>
        found.set(t, [...found.get(t) ?? [], ...v])
      );
    }
    return found;
  };
  let watched = heavy;
  /** Read along several axes, or along tokens by what is not staged: they are never held. */
  const loose = new Set<Term>();
  /** What a staged term reads is staged before it, if all that is read of it lies along the same axes. */
  const below = (term: Term, own: HeldAxes, staged: Map<Term, HeldAxes>): Term | undefined => {
    const others = heavy.filter((t) => t !== term && !loose.has(t));
    const reads = readsOf(term, symbols(term, own.rowOf), others, ghost(leaves));
    for (const [t, indices] of reads) {
      if (indices.length === 0) continue;
      const axes = axesOf(t, indices);
      const old = staged.get(t);
      const elsewhere = (): boolean =>
        !watched.includes(t) && readsIn([...watched, t]).get(t)!.length > 0;
      const same = old === undefined ? !elsewhere() : old.rowOf.join() === axes?.rowOf.join();
      if (axes === undefined || !same) return t;
      staged.set(t, axes);
    }
    return undefined;
  };
  for (;;) {
    const found = readsIn(watched);
    const stays = (t: Term): boolean =>
      axesOf(t, found.get(t)!) !== undefined &&
      !found.get(t)!.some((i) => i.some((e) => variablesOf(e).has("token")));
    const still = watched.filter((t) => !loose.has(t) && stays(t));
    if (still.length < watched.length) {
      watched = still;
      continue;
    }
    const staged = new Map<Term, HeldAxes>();
    still.forEach((t) => found.get(t)!.length > 0 && staged.set(t, axesOf(t, found.get(t)!)!));
    const mixed = [...heavy].reverse().map((t) => {
      const own = staged.get(t);
      return own && below(t, own, staged);
    }).find((t) => t !== undefined);
    if (mixed !== undefined) {
      loose.add(mixed);
      continue;
    }
    const more = readsIn([...still, ...candidates.filter((t) => !still.includes(t))]);
    const moving = new Map<Term, HeldAxes & { token: number }>();
    candidates.filter((t) => !still.includes(t)).forEach((t) => {
      const axes = movingAxes(t, more.get(t) ?? []);
      if (axes !== undefined) moving.set(t, axes);
    });
    const paced = new Map<Term, HeldAxes & { token: number }>();
    slow.forEach((t) => {
      const axes = movingAxes(t, readsIn([...still, t]).get(t)!, true);
      if (axes !== undefined) paced.set(t, axes);
    });
    // Operands have smaller ids: staged in this order, each finds what it reads.
    const ordered = new Map([...staged].sort(([a], [b]) => a.id - b.id));
    return { staged: ordered, moving, paced };
  }
};
