/**
 * What a machine makes of a bound when it computes it: every step of non-negative numbers may come out
 * smaller by a unit of roundoff, so the result is raised by as many as there are.
 *
 * Before: `e`; after: `e·(1 + γ(k)) + 2^-102`, with k counted along the term. Differences are padded by the
 * rules that make them, sums over tokens of unknown number by theirs.
 * @module
 */
import { map } from "../core/build.ts";
import { summedDims } from "../core/shape.ts";
import { read, type Reading, type Term, type TermOf, topological } from "../core/term.ts";
import type { Machine } from "../read/machine.ts";
import { growthOf, LEAST } from "./known.ts";

/** Terms of a sum over a named size, where no rule has padded it. */
const NAMED = 2 ** 18;
/** Arguments of e^x in bounds stay below this. */
const EXPONENT = 128;

type Units = (t: Term) => number;

const largest = (t: { readonly args: readonly Term[] }, units: Units): number =>
  Math.max(0, ...t.args.map(units));

const together = (t: { readonly args: readonly Term[] }, units: Units): number =>
  t.args.reduce((n, a) => n + units(a), 0);

const summed = (t: TermOf<"contract"> | TermOf<"fold">): number =>
  summedDims(t.labels, t.args)
    .reduce<number>((n, d) => n * (typeof d === "number" ? d : NAMED), 1) + 3;

const ofMap = (t: TermOf<"map">, m: Machine, units: Units): number => {
  switch (t.op) {
    case "add":
    case "sub":
      return largest(t, units) + 1;
    case "mul":
      return together(t, units) + 1;
    case "div":
      return together(t, units) + Math.ceil(m.div / m.u);
    case "sqrt":
      return largest(t, units) + Math.ceil(m.sqrt / m.u);
    case "exp":
      return EXPONENT * largest(t, units) + Math.ceil(m.exp(EXPONENT) / m.u);
    case "select":
      return Math.max(units(t.args[1]), units(t.args[2]));
    case "max":
    case "min":
    case "neg":
      return largest(t, units);
    // Magnitudes of values already allow for a value computed again.
    case "abs":
    case "less":
    case "rint":
    case "hadamard":
    case "binade":
      return 0;
  }
};

/** Roundings that a bound was made by. */
const UNITS: Reading<[Machine, Units], number> = {
  input: () => 0,
  constant: () => 0,
  table: () => 0,
  iota: () => 0,
  cast: () => 0,
  routine: () => 0,
  map: ofMap,
  reshape: (t, _m, units) => largest(t, units),
  permute: (t, _m, units) => largest(t, units),
  broadcast: (t, _m, units) => largest(t, units),
  slice: (t, _m, units) => largest(t, units),
  concat: (t, _m, units) => largest(t, units),
  gather: (t, _m, units) => units(t.args[0]),
  contract: (t, _m, units) => together(t, units) + summed(t),
  // A count is exact.
  fold: (t, _m, units) =>
    t.monoid === "max" || t.args[0].tag === "constant" || t.monoid === "extent"
      ? largest(t, units)
      : t.monoid === "softmax"
      ? units(t.args[1])
      : together(t, units) * (t.monoid === "gram" ? 2 : 1) + summed(t),
};

/** The bound with what the machine that computes it may have rounded off. */
export const inflated = (error: Term, m: Machine | undefined): Term => {
  if (m === undefined) return error;
  const known = new Map<Term, number>();
  const units = (t: Term): number => known.get(t)!;
  for (const t of topological([error])) known.set(t, read(UNITS, t, m, units));
  return map("add", map("mul", error, 1 + growthOf(m, units(error))), LEAST);
};
