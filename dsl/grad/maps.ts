/**
 * Derivatives of the scalar operators: what the gradient of a result gives each operand.
 *
 * Steps (`less`, `binade`, the signs of Hadamard) have none. `rint` passes it on: straight through.
 * Where `max` or `min` meets two equal numbers the first operand that is no constant has it all, so that a
 * clamp passes the gradient at both its ends. |x| and √x give 0 at 0.
 * @module
 */
import { map } from "../core/build.ts";
import type { Op } from "../core/ops.ts";
import type { Term, TermOf } from "../core/term.ts";

/** Gradients of the operands; nothing where there is none. */
export type Shares = readonly (Term | undefined)[];

type Derive = (g: Term, args: readonly Term[], value: Term) => Shares;

const none: Derive = () => [];

/** Shares of two operands of which one is chosen; `lost(a, b)`: is a not the one? */
const chosen = (lost: (a: Term, b: Term) => Term): Derive => (g, [a, b]) => {
  const second = a.tag === "constant" && b.tag !== "constant";
  const gone = second ? lost(b, a) : lost(a, b);
  const [first, other] = [map("select", gone, 0, g), map("select", gone, g, 0)];
  return second ? [other, first] : [first, other];
};

/** One row an operator. */
const DERIVE: Readonly<Record<Op, Derive>> = {
  add: (g) => [g, g],
  sub: (g) => [g, map("neg", g)],
  mul: (g, [a, b]) => [map("mul", g, b), map("mul", g, a)],
  // A zero denominator gives 0, here as in the quotient.
  div: (g, [, b], value) => {
    const share = map("div", g, b);
    return [share, map("neg", map("mul", share, value))];
  },
  max: chosen((a, b) => map("less", a, b)),
  min: chosen((a, b) => map("less", b, a)),
  less: none,
  hadamard: none,
  neg: (g) => [map("neg", g)],
  abs: (g, [x]) => [
    map("select", map("less", x, 0), map("neg", g), map("select", map("less", 0, x), g, 0)),
  ],
  exp: (g, _args, value) => [map("mul", g, value)],
  sqrt: (g, _args, value) => [map("div", g, map("mul", value, 2))],
  rint: (g) => [g],
  binade: none,
  select: (g, [c]) => [undefined, map("select", c, g, 0), map("select", c, 0, g)],
};

/** Shares of a map's operands. */
export const mapShares = (t: TermOf<"map">, g: Term): Shares =>
  DERIVE[t.op](g, t.args, t as unknown as Term);

/** `g` where lo ≤ x ≤ hi, else 0. */
export const inside = (x: Term, lo: number, hi: number, g: Term): Term =>
  map("select", map("less", x, lo), 0, map("select", map("less", hi, x), 0, g));
