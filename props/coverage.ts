/**
 * What random terms are made of, and what enough of them must hold: every node kind, dtype, operator
 * and fold.
 * @module
 */
import { PROJECTIONS } from "../dsl/core/build.ts";
import { type DType, DTYPES, isFixedPoint } from "../dsl/core/dtype.ts";
import { OPS } from "../dsl/core/ops.ts";
import { type Tag, type Term, topological } from "../dsl/core/term.ts";

/**
 * Every tag but `routine`, whose factors no bound is known of (`props/laws/routines.ts` holds them to
 * invariants); a new tag does not compile until it stands here.
 */
const TAGS: Readonly<Record<Exclude<Tag, "routine">, true>> = {
  input: true,
  constant: true,
  table: true,
  iota: true,
  map: true,
  cast: true,
  reshape: true,
  permute: true,
  broadcast: true,
  slice: true,
  concat: true,
  gather: true,
  contract: true,
  fold: true,
};

/** What a term is made of, once for every node that holds it. */
export const kindsOf = (term: Term): readonly string[] =>
  topological([term]).flatMap((t) => [
    t.tag,
    `dtype ${t.dtype}`,
    ...(t.tag === "input" ? [`input ${t.dtype}`] : []),
    ...(t.tag === "concat" && typeof t.shape[t.axis] === "string" ? ["concat of runs"] : []),
    ...(t.tag === "gather" && t.batch !== undefined ? ["gather in each"] : []),
    ...(t.tag === "map" ? [`map ${t.op}`] : []),
    ...(t.tag === "fold" ? [`fold ${t.monoid} ${t.project}`] : []),
  ]);

/** What enough random terms hold. Fixed-point numbers live in registers: the compiler makes them alone. */
export const WANTED: readonly string[] = [
  ...Object.keys(TAGS),
  "concat of runs",
  "gather in each",
  ...(Object.keys(DTYPES) as DType[]).filter((d) => !isFixedPoint(d))
    .flatMap((d) => [`dtype ${d}`, `input ${d}`]),
  ...Object.keys(OPS).map((op) => `map ${op}`),
  ...Object.entries(PROJECTIONS).flatMap(([m, ps]) => ps.map((p) => `fold ${m} ${p}`)),
];

/** Adds one. */
export const count = (counts: Map<string, number>, what: string, by = 1): unknown =>
  counts.set(what, (counts.get(what) ?? 0) + by);
