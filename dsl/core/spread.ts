/**
 * Repeating a term along the labels that it lacks.
 * @module
 */
import { broadcast, permute } from "./build.ts";
import type { Shape, Term } from "./term.ts";

/** `s` with its axes in the order of `labels`, repeated along those it lacks. */
export const spreadTo = (
  s: Term,
  own: readonly string[],
  labels: readonly string[],
  shape: Shape,
): Term => {
  const order = labels.filter((l) => own.includes(l));
  const sorted = permute(s, order.map((l) => own.indexOf(l)));
  return broadcast(sorted, shape, order.map((l) => labels.indexOf(l)));
};
