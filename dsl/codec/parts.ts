/**
 * Parts of parts: names with a dot.
 *
 * ```text
 * prefixed("large", { codes, scale })  ->  { large.codes, large.scale }        inside(…, "large") takes it back
 * ```
 * @module
 */
import type { Term } from "../core/term.ts";

/** Named stored parts of an encoded tensor. */
export type Parts = Readonly<Record<string, Term>>;

const select = (parts: Parts, keep: (name: string) => boolean): Parts =>
  Object.fromEntries(Object.entries(parts).filter(([name]) => keep(name)));

/** The parts of one part, by their own names. */
export const inside = (parts: Parts, part: string): Parts =>
  Object.fromEntries(
    Object.entries(select(parts, (name) => name.startsWith(`${part}.`)))
      .map(([name, term]) => [name.slice(part.length + 1), term]),
  );

/** All other parts. */
export const outside = (parts: Parts, part: string): Parts =>
  select(parts, (name) => !name.startsWith(`${part}.`));

/** Parts as those of one part. */
export const prefixed = (part: string, parts: Parts): Parts =>
  Object.fromEntries(Object.entries(parts).map(([name, term]) => [`${part}.${name}`, term]));
