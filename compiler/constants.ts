/**
 * Tables that are tensors, matrices found beforehand, become inputs that a program brings along: they lie on
 * the device, and are read as any tensor is. Codebooks, which codes look up, stay in the text of kernels.
 *
 * ```text
 * before: contract x (reshape (table 4096 numbers))      after: contract x (reshape (input "table 4096 …"))
 * ```
 * @module
 */
import { input } from "../dsl/core/build.ts";
import { knownCount } from "../dsl/core/shape.ts";
import { exchanged, type Term, type TermOf, topological } from "../dsl/core/term.ts";
import type { Outputs } from "./pipeline.ts";

/** The longest tensor that a kernel holds in its text. */
const LONGEST = 16;

/** A program whose tables are inputs, and how to come back. */
export interface Hoisted {
  readonly outputs: Outputs;
  /** What each input stands for. */
  readonly tables: ReadonlyMap<string, readonly number[]>;
  /** Terms of the program as they were, tables and all. */
  readonly lowered: (outputs: Outputs) => Outputs;
}

/** Columns of a table that stays in the text: coordinates of a point. */
const COLUMNS = 4;

/** The table of a look-up: numbers, or points of a few coordinates, as many as a kernel holds numbers. */
const bookOf = ({ args: [rows] }: TermOf<"gather">): readonly Term[] => {
  if (rows.tag !== "reshape") return [rows];
  const [count, ...coordinates] = rows.shape;
  return Number(count) <= LONGEST && knownCount(coordinates) <= COLUMNS ? rows.args : [];
};

const over = (outputs: Outputs, by: ReadonlyMap<Term, Term>): Outputs =>
  by.size === 0
    ? outputs
    : Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, exchanged(t, by)]));

/** Takes the tables out that are no codebooks. */
export const hoist = (outputs: Outputs): Hoisted => {
  const order = topological(Object.values(outputs));
  const books = new Set(order.flatMap((t) => t.tag === "gather" ? bookOf(t) : []));
  const large = order.filter((t): t is Term & TermOf<"table"> =>
    t.tag === "table" && t.values.length > LONGEST && !books.has(t)
  );
  const held = large.map((t, i) => {
    const name = `table ${i}, ${t.values.length} numbers`;
    return { t: t as Term, name, values: t.values, stands: input(name, t.shape, "f32") as Term };
  });
  return {
    outputs: over(outputs, new Map(held.map(({ t, stands }) => [t, stands]))),
    tables: new Map(held.map(({ name, values }) => [name, values])),
    lowered: (made) => over(made, new Map(held.map(({ t, stands }) => [stands, t]))),
  };
};
