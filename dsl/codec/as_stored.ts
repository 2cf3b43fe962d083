/**
 * A codec's program with what was stored before its codes were made: scales, factors, and codes that other
 * parts are made against.
 *
 * ```text
 * quantize               codes                follow x       scale        is as stored
 * residual(two, two)     rest.codes           follow x       base.codes   are as stored: the rest is what they leave
 * pairs                  (nothing)                           codes        are as stored: a choice is no rounding
 * ```
 * @module
 */
import { permute, reshape } from "../core/build.ts";
import { argsOf, type Term, topological, VIEWS } from "../core/term.ts";
import { directOf, isLossy } from "../bound/ideal.ts";
import { isChoice } from "../bound/whole.ts";
import type { Codec, Parts } from "./codec.ts";

/** Roundings that factors are made of: those count as they were made, as the factors do. */
export const belowRoutines = (root: Term): Term[] =>
  topological(topological([root]).filter((t) => t.tag === "routine").flatMap(argsOf))
    .filter(isLossy);

/** Parts that others follow x against, value by value. */
const settledIn = (own: readonly Term[], direct: ReadonlySet<Term>): ReadonlySet<Term> => {
  const below = own.filter((t) => direct.has(t)).map((t) => [t, topological([t])] as const);
  return new Set(own.filter((t) => below.some(([by, cone]) => by !== t && cone.includes(t))));
};

/** What a part is a view of: a decoder may take that apart again. */
export const behind = (part: Term): readonly Term[] =>
  VIEWS.has(part.tag) ? argsOf(part).flatMap(behind) : [part];

/** A part that lies in another order than it was made in, and what stands for it, both as it was made. */
const asMade = (part: Term, given: Term): readonly [Term, Term] => {
  if (part.tag !== "permute" && part.tag !== "reshape") return [part, given];
  const [arg] = part.args;
  const back = part.tag === "permute"
    ? permute(given, part.axes.map((_, a) => part.axes.indexOf(a)))
    : reshape(given, arg.shape);
  return arg.tag === "input" ? [part, given] : asMade(arg, back);
};

/** Codes that are no rounded number but a choice (a place, the nearest of some points): the ideal has the same. */
const isChosen = (part: Term): boolean =>
  behind(part).every((t) => t.tag === "cast" && isChoice(t.args[0]));

/** What a codec makes of x, and what stands for its terms that were stored: the last codes follow x, the rest is given. */
export const asStored = (
  codec: Codec,
  x: Term,
  parts: Parts,
  batch: number,
): {
  readonly decoded: Term;
  readonly stored: ReadonlyMap<Term, Term>;
  readonly exact: readonly Term[];
} => {
  const own = codec.encode(x, batch);
  const made = Object.entries(own).map(([name, t]) => asMade(t, parts[name]));
  const terms = made.map(([t]) => t);
  const direct = directOf(topological(terms));
  const settled = settledIn(terms, direct);
  const kept = made.filter(([t]) => !direct.has(t) || settled.has(t) || isChosen(t));
  const decoded = codec.decode(own, x.shape, batch);
  return {
    decoded,
    stored: new Map(kept),
    exact: [...kept.flatMap(([t]) => [t, ...behind(t)]), ...belowRoutines(decoded)],
  };
};
