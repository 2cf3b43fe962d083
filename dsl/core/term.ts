/**
 * Terms: a program as plain, immutable, interned data. Every reading (meaning, text, rounding,
 * code) is a table with one entry per tag of {@link Node}; a forgotten tag does not compile.
 * @module
 */
import type { DType } from "./dtype.ts";
import type { Op } from "./ops.ts";

/** A size: a number, or the name of one known only when a program runs. */
export type Dim = number | string;

/** Sizes of the axes, outermost first. */
export type Shape = readonly Dim[];

/** Axis labels of the operands and the result of a contraction or fold. */
export interface Labels {
  /** Labels of each operand. */
  readonly args: readonly (readonly string[])[];
  /** Labels of the result. */
  readonly out: readonly string[];
}

/** Monoids a fold may run (see `dsl/core/monoid.ts`). */
export type MonoidName = "sum" | "max" | "extent" | "gram" | "softmax";

/** Routines of one matrix. */
export type MatrixRoutine = "eigh" | "svd" | "qr" | "cholesky";

/** Routines: what no expression derives. */
export type RoutineName = MatrixRoutine | "feedback";

/** The node kinds, one record a tag. */
export interface Nodes {
  /** A tensor given when the program runs. */
  readonly input: {
    readonly name: string;
    /** May it lie in memory with room for more entries along its named axes? */
    readonly room?: true;
  };
  /** The same value everywhere. */
  readonly constant: { readonly value: number };
  /** Numbers known when the term is built, along one axis: a codebook. */
  readonly table: { readonly values: readonly number[] };
  /** The index along one axis, from `start` on. */
  readonly iota: { readonly axis: number; readonly start: Dim };
  /** A scalar operator on tensors of one shape. */
  readonly map: { readonly op: Op; readonly args: readonly Term[] };
  /** The value another element type stores: half to even, saturating. */
  readonly cast: { readonly args: readonly [Term] };
  /** The same values in row-major order under another shape. */
  readonly reshape: { readonly args: readonly [Term] };
  /** Axis i of the result is axis `axes[i]` of the argument. */
  readonly permute: { readonly args: readonly [Term]; readonly axes: readonly number[] };
  /** Axis i of the argument is axis `axes[i]` of the result; the others repeat. */
  readonly broadcast: { readonly args: readonly [Term]; readonly axes: readonly number[] };
  /** Entries `start …` of one axis. */
  readonly slice: { readonly args: readonly [Term]; readonly axis: number; readonly start: Dim };
  /** Arguments one after the other along one axis. */
  readonly concat: { readonly args: readonly Term[]; readonly axis: number };
  /** Rows of a table, chosen by an index tensor: `args = [table, index]`; their first `batch` axes are the same. */
  readonly gather: { readonly args: readonly [Term, Term]; readonly batch?: number };
  /** Sum of products over the labels that are not in the result. */
  readonly contract: { readonly args: readonly [Term, Term]; readonly labels: Labels };
  /** A monoid fold over the labels that are not in the result; `project` names what is read. */
  readonly fold: {
    readonly monoid: MonoidName;
    readonly project: string;
    readonly args: readonly Term[];
    readonly labels: Labels;
    /** A device may round the weights of a softmax to this many bits of the largest near by (`read/weights.ts`). */
    readonly weights?: 16 | 8;
  };
  /** A routine on the last two axes; `project` names which result is read. */
  readonly routine: {
    readonly routine: RoutineName;
    readonly project: string;
    readonly args: readonly Term[];
  };
}

/** Name of a node kind. */
export type Tag = keyof Nodes;

/** What every term has. */
export interface Common<S extends Shape, D extends DType> {
  /** Number of the term; operands have smaller ones. */
  readonly id: number;
  /** Sizes of the axes. */
  readonly shape: S;
  /** Element type. */
  readonly dtype: D;
}

/** A typed term: a node with its shape and element type. */
export type Term<S extends Shape = Shape, D extends DType = DType> =
  & Common<S, D>
  & { [T in Tag]: { readonly tag: T } & Nodes[T] }[Tag];

/** The term of one tag. */
export type TermOf<T extends Tag> = Common<Shape, DType> & { readonly tag: T } & Nodes[T];

/** A reading: one function a tag. */
export type Reading<R extends unknown[], A> = {
  readonly [T in Tag]: (term: TermOf<T>, ...rest: R) => A;
};

/** Applies a reading at a term. The one cast that ties a tag to its entry lives here. */
export const read = <R extends unknown[], A>(
  reading: Reading<R, A>,
  term: Term,
  ...rest: R
): A => (reading[term.tag] as (t: Term, ...rest: R) => A)(term, ...rest);

const NONE: readonly Term[] = [];

/** The operands of a term. */
export const argsOf = (term: Term): readonly Term[] => "args" in term ? term.args : NONE;

/** The terms of a process, and the number of the next one. */
interface Terms {
  readonly table: Map<string, WeakRef<Term>>;
  next: number;
}

/**
 * Copies of this package in one process (that of a dependency beside one's own) share their terms: what one
 * builds, another compiles.
 */
const SHARED = Symbol.for("kvfold.terms");
const terms = ((globalThis as { [SHARED]?: Terms })[SHARED] ??= { table: new Map(), next: 0 });
const { table } = terms;
const dead = new FinalizationRegistry<string>((key) => {
  if (table.get(key)?.deref() === undefined) table.delete(key);
});

const numberText = (value: number): string => Object.is(value, -0) ? "-0" : `${value}`;

/** What a field holds, as text: operands by their numbers, each number as itself. */
const fieldText = (name: string, value: unknown): string => {
  if (name === "args") return (value as readonly Term[]).map((a) => a.id).join();
  if (typeof value === "number") return numberText(value);
  if (name === "values") return (value as readonly number[]).map(numberText).join();
  return JSON.stringify(value);
};

/**
 * The one term with these contents: equal subterms are the same object, so sharing is by construction.
 */
export const intern = <T extends Tag>(
  tag: T,
  fields: Nodes[T],
  shape: Shape,
  dtype: DType,
): Term => {
  let key = `${tag}|${dtype}|${JSON.stringify(shape)}`;
  for (const name in fields) key += `|${name}:${fieldText(name, fields[name])}`;
  const known = table.get(key)?.deref();
  if (known !== undefined) return known;
  const term = Object.freeze({
    tag,
    id: terms.next++,
    shape: Object.freeze([...shape]),
    dtype,
    ...fields,
  });
  table.set(key, new WeakRef(term as unknown as Term));
  dead.register(term, key);
  return term as unknown as Term;
};

/** Node kinds that only say where values lie. */
export const VIEWS: ReadonlySet<Tag> = new Set<Tag>([
  "reshape",
  "permute",
  "broadcast",
  "slice",
  "concat",
]);

/** Rebuilds a term with other operands (same contents otherwise); a view or a look-up has the dtype of its first. */
export const withArgs = (term: Term, args: readonly Term[]): Term => {
  const old = argsOf(term);
  if (old.length === args.length && old.every((a, i) => a === args[i])) return term;
  const { tag, id: _id, shape, dtype, ...fields } = term;
  const viewed = VIEWS.has(tag) || tag === "gather" ? args[0].dtype : dtype;
  return intern(tag, { ...fields, args } as unknown as Nodes[Tag], shape, viewed);
};

/** Every term below the roots, operands first, each once. */
export const topological = (roots: readonly Term[]): Term[] => {
  const seen = new Set<Term>();
  const order: Term[] = [];
  const visit = (term: Term): void => {
    if (seen.has(term)) return;
    seen.add(term);
    argsOf(term).forEach(visit);
    order.push(term);
  };
  roots.forEach(visit);
  return order;
};

/**
 * The term made anew from the leaves up: `change` gives what stands for a term, and may ask for the term
 * over its changed operands.
 */
export const rebuilt = (root: Term, change: (t: Term, over: () => Term) => Term): Term => {
  const done = new Map<Term, Term>();
  for (const t of topological([root])) {
    done.set(t, change(t, () => withArgs(t, argsOf(t).map((a) => done.get(a)!))));
  }
  return done.get(root)!;
};

/** The term with some of the terms below it exchanged. */
export const exchanged = (root: Term, by: ReadonlyMap<Term, Term>): Term =>
  rebuilt(root, (t, over) => by.get(t) ?? over());
