/**
 * Folds whose parts lie in memory, one after the other: they are joined, result by result.
 *
 * ```text
 * for each result:  acc = identity;  for each part:  acc = acc ⊕ parts[part][result]
 * ```
 * @module
 */
import type { Dim, Term } from "../dsl/core/term.ts";
import { bin, int, load, num, variable } from "../compiler/ir/expr.ts";
import { GROUP, type Size } from "../compiler/ir/stmt.ts";
import { Builder, type Context, type Step } from "../compiler/kernel.ts";

/** What a fold begins with, and how two of its results are joined. */
export interface Join {
  readonly first: number;
  readonly join: "add" | "max" | "min";
}

/** Results of one group. */
const RESULTS = 256;

/** Parts of a fold: where they lie, how many there are, and results of one. */
export interface Parts {
  readonly name: string;
  readonly count: Size;
  readonly words: number;
  /** What is cut, and into how long parts. */
  readonly tokens: Dim;
  readonly each: number;
}

/** The kernel that joins the parts of folds. */
export const joinParts = (
  roots: readonly Term[],
  joins: readonly Join[],
  { name, count, words, tokens, each }: Parts,
  context: Context,
): Step => {
  const b = new Builder(context);
  const { low } = b;
  const mids = roots.map((_, m) => b.scratch(`${name}${m}`, (s) => count(s) * words, false));
  const outs = roots.map((r) => b.write(r));
  const start = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(RESULTS));
  const parts = bin("div", bin("add", b.size(tokens), int(each - 1)), int(each));
  low.par("e", bin("min", int(RESULTS), bin("sub", int(words), start)), (e) => {
    const at = bin("add", start, e);
    joins.forEach(({ first, join }, m) => {
      const acc = low.mutable("acc", num(first));
      low.loop("p", int(0), parts, 1, (p) => {
        const value = load(mids[m], bin("add", bin("mul", p, int(words)), at));
        acc.set(bin(join, acc.get(), value));
      });
      low.store(outs[m], at, acc.get());
    });
  });
  return b.finish(`${context.name}_joined`, "reduce", () => Math.ceil(words / RESULTS));
};
