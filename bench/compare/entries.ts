/**
 * What is compared: every listed scheme at every width it takes, and schemes of the user's own from a file.
 *
 * A file of schemes is a module: each of its exports that is a codec, or `{ k, v }` of two codecs, is an entry
 * under its own name.
 *
 * ```ts
 * import { hadamard, on, quantize } from "kvfold";
 * import { pipe } from "kvfold/fp";
 *
 * const codes = quantize({ bits: 3, per: 64, range: "asymmetric" });
 * export const mine = pipe(hadamard(), on("values", codes));
 * ```
 * @module
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Either, left, right } from "../../fp.ts";
import {
  type Bits,
  type Codec,
  FORMATS,
  identity,
  type SchemeName,
  SCHEMES,
  WIDTHS,
} from "../../mod.ts";

/** A way to hold a cache. */
export interface Entry {
  /** What tables and plots call it. */
  readonly name: string;
  /** Points of a family have one colour and one line. */
  readonly family: string;
  readonly k: Codec;
  readonly v: Codec;
}

/** The cache that nothing is lost in. */
export const BASE: Entry = { name: "f32", family: "f32", k: identity, v: identity };

const both = (family: string, name: string, codec: Codec): Entry => ({
  name,
  family,
  k: codec,
  v: codec,
});

/** Every scheme at every width it takes, widest first; the second form of DecoQuant has no bits to save. */
export const listed = (): readonly Entry[] =>
  ([8, 4, 3, 2, 1] as const).flatMap((bits: Bits) =>
    Object.entries(SCHEMES)
      .filter(([name]) => name !== "decoquantA" && WIDTHS[name as SchemeName].includes(bits))
      .map(([name, make]) => both(name, `${name} ${bits}`, make(bits)))
  ).concat(Object.entries(FORMATS).map(([name, codec]) => both("formats", name, codec)));

/** Why a file of schemes was refused. */
export class SchemeFileError extends Error {
  override readonly name = "SchemeFileError";
  constructor(path: string, why: string) {
    super(`schemes of ${path}: ${why}`);
  }
}

/** No scheme has a name that begins as asked. */
export class NoSchemeError extends Error {
  override readonly name = "NoSchemeError";
  constructor(asked: string, families: readonly string[]) {
    super(`no scheme's name begins with "${asked}": there are ${families.join(", ")}`);
  }
}

/** The entries whose names begin with one of `prefixes`; a prefix of none is refused. */
export const chosen = (
  entries: readonly Entry[],
  prefixes: readonly string[] | undefined,
): Either<NoSchemeError, readonly Entry[]> => {
  if (prefixes === undefined) return right(entries);
  const idle = prefixes.find((p) => !entries.some(({ name }) => name.startsWith(p)));
  return idle === undefined
    ? right(entries.filter(({ name }) => prefixes.some((p) => name.startsWith(p))))
    : left(new NoSchemeError(idle, [...new Set(entries.map(({ family }) => family))]));
};

const isCodec = (x: unknown): x is Codec =>
  typeof x === "object" && x !== null &&
  ["encode", "decode"].every((f) => typeof (x as Record<string, unknown>)[f] === "function");

const entryOf = (name: string, x: unknown): Entry | undefined => {
  if (isCodec(x)) return both("mine", name, x);
  if (typeof x !== "object" || x === null) return undefined;
  const { k, v } = x as Record<string, unknown>;
  return isCodec(k) && isCodec(v) ? { name, family: "mine", k, v } : undefined;
};

/** The schemes that a module exports; one that cannot be loaded or holds none is a value. */
export const tryOwn = async (
  path: string,
): Promise<Either<SchemeFileError, readonly Entry[]>> => {
  const refuse = (why: string) => left(new SchemeFileError(path, why));
  try {
    const exported: Record<string, unknown> = await import(pathToFileURL(resolve(path)).href);
    const found = Object.entries(exported).map(([name, x]) => entryOf(name, x));
    const own = found.filter((e) => e !== undefined);
    if (own.length > 0) return right(own);
    const names = Object.keys(exported).join(", ") || "nothing";
    return refuse(`exports ${names}, but no codec and no { k, v } of codecs`);
  } catch (error) {
    return refuse((error as Error).message);
  }
};
