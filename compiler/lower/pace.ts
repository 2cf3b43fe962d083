/**
 * How often a term changes along an axis: a look-up by the high digit of a token's place is the same for a run
 * of tokens, and what is made of it is made once a run.
 * @module
 */
import { overOf } from "../../dsl/core/digits.ts";
import { regroups } from "../../dsl/core/shape.ts";
import { argsOf, type Term } from "../../dsl/core/term.ts";

const gcd = (a: number, b: number): number =>
  a === Infinity ? b : b === Infinity ? a : b === 0 ? a : gcd(b, a % b);

const known = new WeakMap<Term, Map<number, number>>();

/**
 * For how many neighbours along an axis, from every multiple of that number on, a term is the same whatever the
 * inputs: ∞ if it never changes, 1 if that is not known.
 *
 * Before: `rint(iota / 512 − 511 / 1024)`; after: 512.
 */
export const paceOf = (t: Term, axis: number): number => {
  const own = known.get(t) ?? new Map<number, number>();
  known.set(t, own);
  const old = own.get(axis);
  if (old !== undefined) return old;
  const made = inside(t, axis);
  own.set(axis, made);
  return made;
};

/** Of several terms, along the axis of each that is not negative. */
const along = (terms: readonly Term[], axis: (i: number) => number): number =>
  terms.map((t, i) => axis(i) < 0 ? Infinity : paceOf(t, axis(i))).reduce(gcd, Infinity);

const inside = (t: Term, axis: number): number => {
  switch (t.tag) {
    case "constant":
      return Infinity;
    case "iota":
      return t.axis === axis ? 1 : Infinity;
    case "map": {
      const whole = overOf(t);
      const places = whole?.of;
      if (places?.tag === "iota" && places.axis === axis) {
        return typeof places.start === "number" ? gcd(whole!.by, places.start) : 1;
      }
      return along(t.args, () => axis);
    }
    case "cast":
      return along(t.args, () => axis);
    case "permute":
      return paceOf(t.args[0], t.axes[axis]);
    case "broadcast":
      return along(t.args, () => t.axes.indexOf(axis));
    case "reshape": {
      const own = regroups(t.args[0].shape, t.shape)
        .find(({ to: [a, b] }) => a === axis && b === axis + 1);
      return own && own.from[1] - own.from[0] === 1 ? paceOf(t.args[0], own.from[0]) : 1;
    }
    case "concat":
    case "slice":
      return t.axis === axis ? 1 : along(argsOf(t), () => axis);
    case "gather": {
      const [table, rows] = t.args;
      const [lead, batch] = [rows.shape.length, t.batch ?? 0];
      if (axis >= lead) return paceOf(table, axis - lead + batch + 1);
      return along([table, rows], (i) => i === 1 || axis < batch ? axis : -1);
    }
    case "contract":
    case "fold":
      return t.tag === "fold" && t.monoid === "gram"
        ? 1
        : along(t.args, (i) => t.labels.args[i].indexOf(t.labels.out[axis]));
    default:
      return 1;
  }
};

/** Runs that are worth it are this long: chunks are no shorter, and whole numbers of what is walked at a time. */
const RUN = 16;

/** Is it a pace at which a term changes, but so seldom that it is worth to make it once a run of tokens? */
export const isRun = (pace: number): boolean => pace !== Infinity && pace % RUN === 0;

/** The tokens of a run that all of some terms are the same for, whole runs of each: ∞ if there are none. */
export const runOf = (
  paced: ReadonlyMap<Term, { readonly token: number }> = new Map(),
): number => [...paced].reduce((run, [t, { token }]) => gcd(run, paceOf(t, token)), Infinity);
