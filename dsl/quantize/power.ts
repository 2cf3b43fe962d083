/**
 * Powers with exponents between 0 and 1, by square roots: to eight binary places of the exponent.
 * @module
 */
import { broadcast, constant, map, table } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import type { Term } from "../core/term.ts";

/** Binary places of an exponent. */
const PLACES = 8;

/** x^α of numbers [n] that are not negative, a row for every α: y ← √y·√x for a place of 1, √y for 0. */
export const powers = (x: Term, exponents: readonly number[]): Term => {
  const wrong = exponents.find((e) => !(e >= 0 && e <= 1));
  if (wrong !== undefined) {
    throw new ValueError("power", `exponent is ${wrong}, not between 0 and 1`);
  }
  const shape = [exponents.length, ...x.shape];
  const places = exponents.map((e) => Math.round(e * 2 ** PLACES));
  const across = (t: Term): Term => broadcast(t, shape, t.shape.map((_, i) => i + 1));
  const chosen = (row: (p: number) => number): Term =>
    broadcast(table(places.map(row)), shape, [0]);
  const root = across(map("sqrt", x));
  let y: Term = constant(1, shape);
  for (let k = 0; k < PLACES; k++) {
    const ones = chosen((p) => p >> k & 1);
    y = map("mul", map("sqrt", y), map("select", ones, root, 1));
  }
  return map("select", chosen((p) => p >> PLACES), across(x), y);
};
