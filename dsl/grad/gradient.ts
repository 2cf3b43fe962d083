/**
 * Reverse-mode derivatives, as terms: one more reading of a program, which compiles like any other.
 *
 * Roundings to a stored type and `rint` pass the gradient straight through, within the range that the type
 * holds (straight-through estimator: arXiv 1308.3432). Everything else has the derivative it has. So what
 * comes out is the exact derivative of the program in which every rounding is replaced by its ideal plus
 * what it rounded off here: `cast(x)` by `clamp(x) + c`, c held. Law: `props/laws/gradient.ts`.
 *
 * ```text
 * before   y = s·clamp(rint(x / s))
 * after    ∂y/∂x = 1 where x / s is within the clamp; ∂y/∂s = rint(x / s) − x / s there, ± the end elsewhere
 * ```
 * @module
 */
import { constant, foldOver, map, permute, reshape } from "../core/build.ts";
import { restDim, startsOf } from "../core/dims.ts";
import { DTYPES, isFixedPoint } from "../core/dtype.ts";
import { ShapeError, shapeText } from "../core/errors.ts";
import { concat, sliced } from "../core/pieces.ts";
import { argsOf, read, type Reading, type Shape, type Term, topological } from "../core/term.ts";
import { contractShares, foldShares } from "./labelled.ts";
import { gatherShares } from "./lookup.ts";
import { inside, mapShares, type Shares } from "./maps.ts";
import { routineShares } from "./routines.ts";

const none = (): Shares => [];

const zeros = (shape: Shape): Term => constant(0, shape);

/** One entry a node kind: what the gradient of a term gives each of its operands. */
const SHARES: Reading<[Term], Shares> = {
  input: none,
  constant: none,
  table: none,
  iota: none,
  map: mapShares,
  cast: (t, g) => {
    if (t.dtype === "f32" || isFixedPoint(t.dtype)) return [g];
    const { min, max } = DTYPES[t.dtype];
    return [inside(t.args[0], min, max, g)];
  },
  reshape: (t, g) => [reshape(g, t.args[0].shape)],
  permute: (t, g) => [permute(g, t.axes.map((_, i) => t.axes.indexOf(i)))],
  broadcast: (t, g) => {
    const gone = t.shape.map((_, i) => i).filter((i) => !t.axes.includes(i));
    return [foldOver("sum", "sum", g, gone)];
  },
  slice: (t, g) => {
    const [{ shape }] = t.args;
    const [whole, size] = [shape[t.axis], t.shape[t.axis]];
    const rest = restDim(whole, t.start, size);
    if (rest === undefined) {
      throw new ShapeError(
        "gradient of slice",
        `${size} entries from ${t.start} on leave no size that can be said of ${shapeText(shape)}`,
      );
    }
    const [before, behind] = [t.start, rest].map((d) =>
      d === 0 ? [] : [zeros(shape.map((n, i) => i === t.axis ? d : n))]
    );
    return [concat([...before, g, ...behind], t.axis)];
  },
  concat: (t, g) => {
    const sizes = t.args.map((a) => a.shape[t.axis]);
    return startsOf(sizes).map((start, i) => sliced(g, t.axis, start, sizes[i]));
  },
  gather: gatherShares,
  contract: contractShares,
  fold: foldShares,
  routine: routineShares,
};

/** A result of a program, and the gradient of a loss by it. */
export interface Pulled {
  /** The result. */
  readonly of: Term;
  /** The gradient of the loss by the result, in its shape. */
  readonly by: Term;
}

/** What derivatives may leave out. */
export interface GradientOptions {
  /** Terms that count as they are: nothing is derived through them. */
  readonly fixed?: (term: Term) => boolean;
}

/**
 * Pulls the gradients of results back to other terms of the program: Σ over results of Jᵀ·by, in the shape
 * of each term of `wrt`. One that no result depends on gets zeros. A `ShapeError` names a gradient whose
 * shape is not its result's; a `ValueError` names a routine without a formula.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { contract, evaluate, input, pullback } from "kvfold";
 * const [x, w] = [input("x", ["t", 2], "f32"), input("w", [2, 2], "f32")];
 * const y = contract("t i, o i -> t o", x, w);
 * const [gw] = pullback([{ of: y, by: input("gy", y.shape, "f32") }], [w]);
 * const inputs = { x: [1, 2], w: [0, 0, 0, 0], gy: [1, 10] };
 * ok(evaluate(gw, { sizes: { t: 1 }, inputs }).data.join() === "1,2,10,20");
 * ```
 */
export const pullback = (
  results: readonly Pulled[],
  wrt: readonly Term[],
  { fixed = () => false }: GradientOptions = {},
): Term[] => {
  const asked = new Set(wrt);
  const gradients = new Map<Term, Term>();
  const add = (t: Term, g: Term): unknown => {
    const old = gradients.get(t);
    return gradients.set(t, old === undefined ? g : map("add", old, g));
  };
  for (const { of, by } of results) {
    if (of.shape.join() !== by.shape.join()) {
      throw new ShapeError(
        "pullback",
        `the gradient is ${shapeText(by.shape)}, its result ${shapeText(of.shape)}`,
      );
    }
    add(of, by);
  }
  const order = topological(results.map((r) => r.of));
  // Only what stands between the results and what is asked for is derived.
  const moving = new Set<Term>();
  const through = (t: Term): boolean => !fixed(t) && argsOf(t).some((a) => moving.has(a));
  for (const t of order) if (asked.has(t) || through(t)) moving.add(t);
  for (const t of order.toReversed()) {
    const g = gradients.get(t);
    if (g === undefined || !through(t)) continue;
    const shares = read(SHARES, t, g);
    argsOf(t).forEach((a, i) => moving.has(a) && shares[i] !== undefined && add(a, shares[i]));
  }
  return wrt.map((t) => gradients.get(t) ?? zeros(t.shape));
};

/**
 * The gradient of one number by terms of the program that makes it.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { cast, evaluate, foldOver, gradient, input, map } from "kvfold";
 * const x = input("x", [3], "f32");
 * // Σ of x², of x as it is stored in two bits: the gradient goes straight through, 3.4 is clipped.
 * const stored = cast(x, "u2");
 * const [g] = gradient(foldOver("sum", "sum", map("mul", stored, stored), [0]), [x]);
 * ok(evaluate(g, { sizes: {}, inputs: { x: [0.8, 2.2, 3.4] } }).data.join() === "2,4,0");
 * ```
 */
export const gradient = (
  loss: Term,
  wrt: readonly Term[],
  options: GradientOptions = {},
): Term[] => {
  if (loss.shape.length > 0) {
    throw new ShapeError("gradient", `the loss is ${shapeText(loss.shape)}, not one number`);
  }
  return pullback([{ of: loss, by: constant(1, []) }], wrt, options);
};
