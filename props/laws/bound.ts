/**
 * The law of bounds: a program is no further from its ideal than its bound says.
 * @module
 */
import type { Term } from "../../dsl/core/term.ts";
import { boundOf, normBoundOf } from "../../dsl/bound/bound.ts";
import { idealOf } from "../../dsl/bound/ideal.ts";
import { type Env, evalAll } from "../../dsl/read/eval.ts";
import { F64 } from "../../dsl/read/machine.ts";
import { rounding } from "../../dsl/read/rounding.ts";

/**
 * Largest excess of |program − ideal| over the bound and the roundings of evaluating all three in f64;
 * where the bound, or what is known of a rounding, is not finite there is no claim.
 */
export const boundExcess = (term: Term, env: Env): number => {
  const [ideal, bound] = [idealOf(term), boundOf(term)];
  const [actual] = evalAll([term], env);
  const rounded = rounding([ideal, bound], env, F64);
  const [near, limit] = rounded;
  let worst = -Infinity;
  actual.data.forEach((v, i) => {
    // A relative part for the program itself, which has no steps between equal values.
    const slack = near.error[i] + limit.error[i] + 2 ** -40 * Math.abs(v);
    const claim = limit.value.data[i] + slack;
    if (!Number.isFinite(claim) || claim > 1e38) return;
    worst = Math.max(worst, Math.abs(v - near.value.data[i]) - claim);
  });
  return worst;
};

/**
 * Largest excess of ‖program − ideal‖₂ along one axis over its bound and the roundings of evaluating all
 * three in f64; there is no claim where one of them is not finite.
 */
export const normExcess = (term: Term, axis: number, env: Env): number => {
  const rounded = rounding([idealOf(term), normBoundOf(term, [axis])], env, F64);
  const [ideal, bound] = rounded;
  const [actual] = evalAll([term], env);
  const n = actual.shape[axis];
  const inner = actual.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  let worst = -Infinity;
  bound.value.data.forEach((b, i) => {
    const first = Math.floor(i / inner) * n * inner + i % inner;
    let [off, slack] = [0, 0];
    for (let k = 0; k < n; k++) {
      const at = first + k * inner;
      off = Math.hypot(off, actual.data[at] - ideal.value.data[at]);
      slack += ideal.error[at] + 2 ** -40 * Math.abs(actual.data[at]);
    }
    const claim = b + bound.error[i] + slack;
    if (Number.isFinite(claim) && claim <= 1e38) worst = Math.max(worst, off - claim);
  });
  return worst;
};
