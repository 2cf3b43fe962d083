/**
 * Scales of a product of many tokens with a small matrix: they go to the matrix, which is multiplied once.
 *
 * Before: `(x·V)·w` with x `[tokens, 32, 16]`, V `[16, 16]`, w one number a column: a multiplication a value;
 * after: `x·(V·w)`: 256 multiplications. A number that x is divided by and its product is multiplied with
 * leaves both, as the largest magnitude does that keeps the squares of a Gram matrix in range.
 *
 * What is read from a cache is left to the rules that take scales to the query.
 * @module
 */
import { contractBy, map } from "../../dsl/core/build.ts";
import { holdsCodes } from "../../dsl/core/codes.ts";
import { isDynamic } from "../../dsl/core/shape.ts";
import { spreadTo } from "../../dsl/core/spread.ts";
import type { Term, TermOf } from "../../dsl/core/term.ts";
import { isHadamard } from "./butterfly.ts";
import { isCached } from "./labels.ts";
import { normalBetween } from "./ranges.ts";

type Product = Term & TermOf<"contract">;
type Broadcast = Term & TermOf<"broadcast">;

/** A product under scales that it is multiplied by one after the other. */
const scaled = (term: Term): { product: Product; scales: readonly Broadcast[] } | undefined => {
  if (term.tag === "contract") return { product: term, scales: [] };
  if (term.tag !== "map" || term.op !== "mul") return undefined;
  for (const [k, scale] of term.args.entries()) {
    const inner = scale.tag === "broadcast" ? scaled(term.args[1 - k]) : undefined;
    if (inner !== undefined) {
      return { ...inner, scales: [...inner.scales, scale as Broadcast] };
    }
  }
  return undefined;
};

/** `(x·(1/s))·M·s → x·M` and `(x·M)·w → x·(M·w)`; see the head of the file. */
export const scaleToSmallFactor = (term: Term): Term | undefined => {
  const found = term.tag === "map" && !holdsCodes(term) ? scaled(term) : undefined;
  if (found === undefined) return undefined;
  const { product, scales } = found;
  const small = product.args.findIndex((a) => !isDynamic(a.shape));
  if (small < 0 || !isDynamic(product.args[1 - small].shape)) return undefined;
  let [factor, large] = [product.args[small], product.args[1 - small]];
  if (isCached(large) || isHadamard(factor)) return undefined;
  const axis = product.labels.args[small];
  const left: Broadcast[] = [];
  for (const scale of scales) {
    const own = scale.axes.map((a) => product.labels.out[a]);
    const [by] = scale.args;
    const bare = own.length === 0 ? without(large, by) : undefined;
    if (bare !== undefined) large = bare;
    else if (!own.every((l) => axis.includes(l))) left.push(scale);
    else factor = map("mul", factor, spreadTo(by, own, axis, factor.shape));
  }
  if (left.length === scales.length) return undefined;
  const args = small === 0 ? [factor, large] : [large, factor];
  const made = contractBy(product.labels, args[0], args[1]);
  return left.reduce<Term>((t, scale) => map("mul", t, scale), made);
};

/** The term that `t` is over `by`, if it is one; `by` is surely no 0 then. */
const without = (t: Term, by: Term): Term | undefined => {
  if (t.tag !== "map" || t.op !== "mul" || !normalBetween(by)) return undefined;
  const over = map("div", 1, by);
  const at = t.args.findIndex((a) => a.tag === "broadcast" && a.args[0] === over);
  return at < 0 ? undefined : t.args[1 - at];
};
