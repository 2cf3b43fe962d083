/**
 * Marks: 1 at a place, 0 elsewhere.
 * @module
 */
import { broadcast, iota, map } from "./build.ts";
import type { Shape, Term } from "./term.ts";

/** 1 where two whole numbers are the same, else 0. */
export const same = (a: Term, b: Term): Term => map("less", map("abs", map("sub", a, b)), 0.5);

/** 1 at one place of the last axis, for each of the leading ones. */
export const markAt = (place: Term, shape: Shape): Term =>
  same(
    iota(shape, shape.length - 1),
    broadcast(place, shape, place.shape.map((_, i) => i)),
  );
