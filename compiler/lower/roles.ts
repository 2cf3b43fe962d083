/**
 * The part each axis plays in softmax folds over the same scores. Axes of the scores have the same
 * names in all of them (s0, s1, …); axes of the values alone are c0, c1, … of each.
 *
 * Before: folds `"a b t, a t e -> a b e"` and `"x y z, z x y -> x y"`; after: values `s0 s2 c2` and
 * `s2 s0 s1`, the token s2, one group for each s0, rows s1.
 * @module
 */
import type { Dim, Term, TermOf } from "../../dsl/core/term.ts";

type Fold = Term & TermOf<"fold">;

/** One of the folds, its axes under their common names. */
export interface Member {
  readonly term: Fold;
  /** Labels of the values. */
  readonly values: readonly string[];
  /** Labels of the result. */
  readonly out: readonly string[];
  /** Axes of known size that only the values have. */
  readonly channels: readonly string[];
  readonly dim: (label: string) => Dim;
}

/** Labels by role: `outer` and `rows` index the results' rows, `token` is folded. */
export interface StreamRoles {
  readonly token: string;
  /** One group each: batch, rows and channels of unknown number. */
  readonly outer: readonly string[];
  /** Rows of the scores that share the values of the largest fold: decoded once for all of them. */
  readonly rows: readonly string[];
  /** The label of `outer` with the most rows that share those values: a block of them may decode once. */
  readonly query: string | undefined;
  /** Labels of the scores. */
  readonly scores: readonly string[];
  readonly members: readonly Member[];
  /** Size of a label of the scores or of `outer`. */
  readonly dim: (label: string) => Dim;
}

/** Rows that one group may keep in registers. */
const MAX_ROWS = 8;

/** Why a softmax fold has no streaming form, or nothing. */
export const streamRefusal = (term: TermOf<"fold">): string | undefined => {
  const [s, v] = term.labels.args;
  const gone = [...new Set([...s, ...v])].filter((l) => !term.labels.out.includes(l));
  if (gone.length !== 1) return `folds ${gone.length} labels, not one`;
  if (!s.includes(gone[0]) || !v.includes(gone[0])) {
    return `label ${gone[0]} is not in both operands`;
  }
  return undefined;
};

/** Product of the sizes of labels that are known. */
export const countOf = (
  { dim }: { readonly dim: (label: string) => Dim },
  labels: readonly string[],
): number => labels.reduce((n, l) => n * (dim(l) as number), 1);

const isScore = (label: string): boolean => label.startsWith("s");

const memberOf = (term: Fold): Member => {
  const [s, v] = term.labels.args;
  const name = (l: string): string => s.includes(l) ? `s${s.indexOf(l)}` : `c${v.indexOf(l)}`;
  const dim = (l: string): Dim => term.args[isScore(l) ? 0 : 1].shape[Number(l.slice(1))];
  const out = term.labels.out.map(name);
  return {
    term,
    values: v.map(name),
    out,
    channels: out.filter((l) => !isScore(l) && typeof dim(l) === "number"),
    dim,
  };
};

const rowsOf = ({ out, values, dim }: Member): string[] => {
  const rows: string[] = [];
  let count = 1;
  for (const l of out.filter((x) => isScore(x) && !values.includes(x))) {
    const size = dim(l);
    if (typeof size === "number" && count * size <= MAX_ROWS) {
      rows.push(l);
      count *= size;
    }
  }
  return rows;
};

/** The label with the most of the rows that share their values and are too many for registers. */
const queryOf = ({ out, values, dim }: Member, rows: readonly string[]): string | undefined => {
  const many = out.filter((l) => isScore(l) && !values.includes(l) && !rows.includes(l));
  const sizeOf = (l: string): number => {
    const size = dim(l);
    return typeof size === "number" ? size : Infinity;
  };
  return many.reduce<string | undefined>(
    (a, l) => a === undefined || sizeOf(l) > sizeOf(a) ? l : a,
    undefined,
  );
};

/** Does the first fold have more to add up, or as much for more rows at once? */
const isLarger = (a: Member, b: Member): boolean => {
  const [m, n] = [countOf(a, a.channels), countOf(b, b.channels)];
  return m > n || (m === n && countOf(a, rowsOf(a)) > countOf(b, rowsOf(b)));
};

/** Roles of the labels of folds that {@link shareScores}. */
export const streamRoles = (folds: readonly Fold[]): StreamRoles => {
  for (const term of folds) {
    const refused = streamRefusal(term);
    if (refused !== undefined) throw new Error(`fold softmax ${refused}`);
  }
  const members = folds.map(memberOf);
  const main = members.reduce((a, b) => isLarger(b, a) ? b : a);
  const scores = main.term.labels.args[0].map((_, i) => `s${i}`);
  const rows = rowsOf(main);
  return {
    query: queryOf(main, rows),
    token: scores.find((l) => !main.out.includes(l))!,
    // A channel axis of unknown size is walked by groups, like a batch.
    outer: main.out.filter((l) => !rows.includes(l) && !main.channels.includes(l)),
    rows,
    scores,
    members,
    dim: main.dim,
  };
};

/** May one kernel make two folds? They have the same scores and tokens, and no channels of unknown number. */
export const shareScores = (a: Fold, b: Fold): boolean => {
  if (a.args[0] !== b.args[0]) return false;
  const [x, y] = [streamRoles([a]), streamRoles([b])];
  return x.token === y.token && [...x.outer, ...y.outer].every(isScore);
};

/** Size of the last channel axis, 1 if there is none. */
export const innerOf = ({ channels, dim }: Member): number =>
  channels.length === 0 ? 1 : dim(channels[channels.length - 1]) as number;

/** Do vectors run along tokens? Where channels do not come in fours. */
export const runsAlongTokens = (member: Member): boolean => innerOf(member) % 4 !== 0;
