/**
 * A codec's program with scales and factors as they were stored.
 * @module
 */
import { argsOf, type Term, topological } from "../core/term.ts";
import { directOf, isLossy } from "../bound/ideal.ts";
import type { Codec, Parts } from "./codec.ts";

/** Roundings that factors are made of: those count as they were made, as the factors do. */
const belowRoutines = (root: Term): Term[] =>
  topological(topological([root]).filter((t) => t.tag === "routine").flatMap(argsOf))
    .filter(isLossy);

/** What a codec makes of x, and what stands for its terms that were stored: codes follow x, the rest is given. */
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
  const kept = Object.entries(own).filter(([, t]) => !direct.has(t));
  const decoded = codec.decode(own, x.shape, batch);
  return {
    decoded,
    stored: new Map(kept.map(([name, t]): [Term, Term] => [t, parts[name]])),
    exact: [...kept.map(([, t]) => t), ...belowRoutines(decoded)],
  };
};
