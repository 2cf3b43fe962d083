/**
 * Tiles of a streaming fold: a block of queries takes a few tokens at a time, which are decoded once
 * for all of them. Here: which products are products of two matrices, and how large a tile may be.
 *
 * Before: `"a b c d, a e d -> a b c e"`, groups a, rows b, queries c, tokens e; after: for each b,
 * [tokens, d] · [d, queries].
 * @module
 */
import { isDynamic } from "../../dsl/core/shape.ts";
import type { Term, TermOf } from "../../dsl/core/term.ts";
import type { Block, Plan, Schedule, Target } from "../kernel.ts";
import { countOf, type Member, type StreamRoles, streamRoles } from "./roles.ts";
import { type HeldAxes, heldCount } from "./row.ts";

type Fold = Term & TermOf<"fold">;
type Moving = HeldAxes & { readonly token: number };

/** A product of tokens with queries, both along the same labels. */
export interface TileProduct {
  /** Which operand runs along the tokens. */
  readonly tokens: number;
  /** Labels that are summed, in the order of the queries' operand, and their sizes. */
  readonly gone: readonly string[];
  readonly sizes: readonly number[];
  /** Held labels that the tokens have as well; the others share what is decoded. */
  readonly batch: readonly string[];
}

/** Products of sizes. */
export const product = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);

/** The axis of a term that runs along the queries, or nothing. */
export const queryAxis = ({ rowOf }: HeldAxes, query: number): number => rowOf.indexOf(query);

/** A product with the queries, which are staged, in one operand and the tokens in the other, or nothing. */
export const tileProduct = (
  term: Term,
  axes: Moving,
  query: number,
  staged: ReadonlyMap<Term, HeldAxes>,
): TileProduct | undefined => {
  if (term.tag !== "contract") return undefined;
  const { args, out } = term.labels;
  const axis = queryAxis(axes, query);
  if (axis < 0) return undefined;
  const tokens = args.findIndex((labels) => labels.includes(out[axes.token]));
  const [own, other] = [args[tokens], args[1 - tokens]];
  if (!staged.has(term.args[1 - tokens])) return undefined;
  if (other.includes(out[axes.token]) || own.includes(out[axis])) return undefined;
  const gone = other.filter((l) => !out.includes(l));
  const sizes = gone.map((l) => term.args[1 - tokens].shape[other.indexOf(l)]);
  const summed = new Set([...own, ...other].filter((l) => !out.includes(l)));
  if (isDynamic(sizes) || summed.size !== gone.length || gone.some((l) => !own.includes(l))) {
    return undefined;
  }
  return {
    tokens,
    gone,
    sizes: sizes as number[],
    batch: axes.held.map((a) => out[a]).filter((l) => own.includes(l)),
  };
};

/** Size of a label of a product's result. */
export const sizeOf = (term: Term & TermOf<"contract">, label: string): number =>
  term.shape[term.labels.out.indexOf(label)] as number;

/** Floats of one token that a product reads. */
export const tokenFloats = (
  term: Term & TermOf<"contract">,
  { sizes, batch }: TileProduct,
): number => product(sizes) * product(batch.map((l) => sizeOf(term, l)));

/** Do all rows and queries have the same values? */
export const sharesValues = ({ values }: Member, { rows }: StreamRoles, label: string): boolean =>
  !values.includes(label) && !rows.some((l) => values.includes(l));

/** Floats that one token of a tile is decoded to, at most. */
const decodedFloats = (
  folds: readonly Fold[],
  staged: ReadonlyMap<Term, HeldAxes>,
  moving: ReadonlyMap<Term, Moving>,
): number => {
  const { members, outer, query } = streamRoles(folds);
  return Math.max(
    ...members.map((m) => countOf(m, m.channels)),
    ...[...moving].map(([t, axes]) => {
      const made = tileProduct(t, axes, outer.indexOf(query!), staged);
      return made === undefined ? 0 : tokenFloats(t as Term & TermOf<"contract">, made);
    }),
  );
};

/** The same of a plan. */
export const tileFloats = ({ roots, axes, moving }: Plan): number =>
  decodedFloats(roots as readonly Fold[], axes, moving);

/** Tiles of tokens that one part walks: so often its weights are scaled again (`Machine.merges`). */
export const TILES = 15;
/** Tokens and queries of a tile are a multiple of four; two vectors of queries where they fit. */
const [FOUR, EIGHT] = [4, 8];

/**
 * How many queries and tokens at a time in every piece of the tokens, or nothing where no rows are left to share them, the schedule
 * takes each query on its own, or group memory is too small. Each token takes `besides` floats of it before any query.
 */
export const streamBlock = (
  pieces: readonly (readonly Fold[])[],
  staged: ReadonlyMap<Term, HeldAxes>,
  movings: readonly ReadonlyMap<Term, Moving>[],
  besides: number,
  { queries: most, chunk }: Schedule,
  { groupFloats, cacheBytes }: Target,
): Block | undefined => {
  const { query: label, outer, rows: labels, dim, members } = streamRoles(pieces[0]);
  if (label === undefined || most <= 1) return undefined;
  const query = outer.indexOf(label);
  const rows = countOf({ dim }, labels);
  const sums = members.map((m) => countOf(m, m.channels));
  const tile = Math.max(...pieces.map((folds, i) => decodedFloats(folds, staged, movings[i])));
  const floats = (queries: number, tokens: number): number => {
    const held = [...staged].map(([t, axes]) =>
      heldCount(t, axes) * (queryAxis(axes, query) < 0 ? 1 : queries)
    );
    const made = movings.map((moving) =>
      [...moving].map(([t, axes]) =>
        heldCount(t, axes) * tokens * (queryAxis(axes, query) < 0 ? 1 : queries)
      )
    );
    const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
    return sum(held) + Math.max(...made.map(sum)) + tokens * (besides + tile + rows * queries) +
      rows * queries * (sum(sums) + 3) + 64;
  };
  const size = dim(label);
  const half = (n: number): number => FOUR * Math.floor(n / 2 / FOUR);
  const wanted = Math.min(most / rows, typeof size === "number" ? size : Infinity);
  for (let queries = EIGHT * Math.ceil(wanted / EIGHT); queries > 0; queries = half(queries)) {
    const near = cacheBytes === 0 ? Infinity : cacheBytes / 2 / (tile + 2 * rows * queries);
    const tokens = FOUR * Math.ceil(Math.min(chunk, Math.max(near, EIGHT)) / FOUR);
    for (let n = tokens; n > 0; n = half(n)) {
      if (floats(queries, n) <= groupFloats) return { label, queries, tokens: n };
    }
  }
  return undefined;
};
