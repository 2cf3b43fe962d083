/**
 * Values that are known from how they are made: magnitudes of signs, and operators on constants.
 *
 * Bounds of rotated values are sums over magnitudes: `x·|H|` with H of −1 and 1. Before: a product with a
 * matrix; after: the sum of x, the same in every channel (`constant-off-operand`).
 * @module
 */
import { broadcast, constant, map } from "../../dsl/core/build.ts";
import { OPS } from "../../dsl/core/ops.ts";
import { argsOf, type Term, VIEWS } from "../../dsl/core/term.ts";

/** Is every value −1 or 1, whatever the inputs? */
const isSigns = (t: Term): boolean => {
  if (t.tag === "constant") return Math.abs(t.value) === 1;
  if (t.tag === "map") return t.op === "hadamard" || t.op === "mul" && t.args.every(isSigns);
  return VIEWS.has(t.tag) && argsOf(t).every(isSigns);
};

/** `|s| → 1`, `|x·s| → |x|`. */
export const signInMagnitude = (term: Term): Term | undefined => {
  if (term.tag !== "map" || term.op !== "abs") return undefined;
  const [x] = term.args;
  if (isSigns(x)) return constant(1, term.shape);
  if (x.tag !== "map" || x.op !== "mul") return undefined;
  const at = x.args.findIndex(isSigns);
  return at < 0 ? undefined : map("abs", x.args[1 - at]);
};

/** An operator on constants: a constant where that is exact, else computed once and repeated. */
export const constantMap = (term: Term): Term | undefined => {
  if (term.tag !== "map" || !term.args.every((a) => a.tag === "constant")) return undefined;
  const numbers = term.args.map((a) => a.value);
  const value = OPS[term.op].apply(...numbers);
  if (Number.isFinite(value) && Math.fround(value) === value) return constant(value, term.shape);
  if (term.shape.length === 0) return undefined;
  return broadcast(map(term.op, ...numbers.map((n) => constant(n, []))), term.shape, []);
};
