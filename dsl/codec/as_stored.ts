/**
 * A codec's program with scales, means and factors as they were stored: every part that is no code of x, or
 * that codes are computed against. A mean follows x, but `x − mean` is coded against what was stored of it.
 * @module
 */
import { type Term, topological } from "../core/term.ts";
import { directOf } from "../bound/ideal.ts";
import type { Codec, Parts } from "./codec.ts";

/** What a codec makes of x, and what stands for its terms that were stored: codes follow x, the rest is given. */
export const asStored = (
  codec: Codec,
  x: Term,
  parts: Parts,
  batch: number,
): { readonly decoded: Term; readonly stored: ReadonlyMap<Term, Term> } => {
  const own = codec.encode(x, batch);
  const direct = directOf(topological(Object.values(own)));
  const codes = Object.values(own).filter((t) => direct.has(t));
  const against = (t: Term): boolean => codes.some((c) => c !== t && topological([c]).includes(t));
  const kept = Object.entries(own).filter(([, t]) => !direct.has(t) || against(t));
  return {
    decoded: codec.decode(own, x.shape, batch),
    stored: new Map(kept.map(([name, t]): [Term, Term] => [t, parts[name]])),
  };
};
