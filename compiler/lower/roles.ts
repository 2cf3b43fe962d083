/**
 * The part each label of a softmax fold plays.
 * @module
 */
import type { Dim, TermOf } from "../../dsl/core/term.ts";

/** Labels by role: `outer` and `rows` index the result's rows, `token` is folded. */
export interface StreamRoles {
  readonly token: string;
  /** One group each: batch, rows and channels of unknown number. */
  readonly outer: readonly string[];
  /** Rows of the scores that share the values: decoded once for all of them. */
  readonly rows: readonly string[];
  readonly channels: readonly string[];
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

/** Roles of the labels. */
export const streamRoles = (term: TermOf<"fold">): StreamRoles => {
  const refused = streamRefusal(term);
  if (refused !== undefined) throw new Error(`fold softmax ${refused}`);
  const [s, v] = term.labels.args;
  const out = term.labels.out;
  const dim = (l: string): Dim =>
    s.includes(l) ? term.args[0].shape[s.indexOf(l)] : term.args[1].shape[v.indexOf(l)];
  const free = out.filter((l) => s.includes(l) && !v.includes(l));
  const rows: string[] = [];
  let count = 1;
  for (const l of free) {
    const size = dim(l);
    if (typeof size === "number" && count * size <= MAX_ROWS) {
      rows.push(l);
      count *= size;
    }
  }
  // A channel axis of unknown size is walked by groups, like a batch.
  const channels = out.filter((l) => !s.includes(l) && typeof dim(l) === "number");
  return {
    token: s.find((l) => !out.includes(l))!,
    outer: out.filter((l) => !rows.includes(l) && !channels.includes(l)),
    rows,
    channels,
    dim,
  };
};
