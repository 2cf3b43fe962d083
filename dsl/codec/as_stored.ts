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
  const direct = directOf(topological(Object.values(own)));
  const settled = settledIn(Object.values(own), direct);
  const kept = Object.entries(own).filter(([, t]) =>
    !direct.has(t) || settled.has(t) || isChosen(t)
  );
  const decoded = codec.decode(own, x.shape, batch);
  return {
    decoded,
    stored: new Map(kept.map(([name, t]): [Term, Term] => [t, parts[name]])),
    exact: [...kept.flatMap(([, t]) => [t, ...behind(t)]), ...belowRoutines(decoded)],
  };
};
