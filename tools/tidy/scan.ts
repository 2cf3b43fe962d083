/**
 * Reads a set of files as data: who imports whom, and at which line.
 * @module
 */
import { posix } from "node:path";

/** A set of files: path from the root, with forward slashes, to text. */
export type Files = ReadonlyMap<string, string>;

/** Something a rule objects to. */
export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** One mention of a module by another. A `url` is a worker's or an asset's address: it keeps a
 * file alive and obeys the layers, but it closes no cycle. */
export interface Mention {
  readonly spec: string;
  readonly line: number;
  readonly kind: "import" | "url";
  /** The file meant, or undefined when it lies outside the set (a package, a built-in). */
  readonly target: string | undefined;
}

/** What a file outside the door writes to come in by it. */
const doors: Readonly<Record<string, string>> = { "kvfold": "mod.ts", "kvfold/fp": "fp.ts" };

/** The line, from 1, on which an offset lies. */
export const lineAt = (text: string, offset: number): number =>
  text.slice(0, offset).split("\n").length;

const patterns: readonly { readonly kind: Mention["kind"]; readonly at: RegExp }[] = [
  { kind: "import", at: /^(?:import|export)\s[^"'=();]*?\bfrom\s*"([^"\n]+)"/gm },
  { kind: "import", at: /^import\s*"([^"\n]+)"/gm },
  { kind: "import", at: /\bimport\(\s*"([^"\n]+)"/g },
  { kind: "url", at: /\bnew URL\(\s*"(\.[^"\n]+\.ts)"/g },
  { kind: "url", at: /\bimport\.meta\.resolve\(\s*"(\.[^"\n]+\.ts)"/g },
];

/** True when the offset lies in a comment or a string, judged by its line alone. */
const quoted = (text: string, offset: number): boolean => {
  const before = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  return /^\s*\*|\/\/|\/\*/.test(before) || (before.match(/["'`]/g) ?? []).length % 2 === 1;
};

const resolve = (from: string, spec: string): string | undefined =>
  spec.startsWith(".") ? posix.join(posix.dirname(from), spec) : doors[spec];

/** Every module a file mentions, type-only and dynamic ones included. Statements are looked for at
 * the start of a line, where `deno fmt` puts them, so text inside a string does not count. */
export const mentions = (file: string, text: string): readonly Mention[] =>
  patterns.flatMap(({ kind, at }) =>
    [...text.matchAll(at)]
      .filter((m) => !quoted(text, m.index))
      .map((m) => {
        const spec = m[1]!;
        const line = lineAt(text, m.index + m[0].length);
        return { spec, line, kind, target: resolve(file, spec) };
      })
  );

/** The mentions of every TypeScript file in the set. */
export const graph = (files: Files): ReadonlyMap<string, readonly Mention[]> =>
  new Map(
    [...files].filter(([f]) => f.endsWith(".ts")).map(([f, text]) => [f, mentions(f, text)]),
  );

/** True for a file that holds data rather than something written to be read. */
export const isData = (file: string): boolean =>
  /(^|\/)(data|__snapshots__)\//.test(file) ||
  (file.startsWith("models/") && !/\.(ts|md)$/.test(file));

/** True for a file of tests. */
export const isTest = (file: string): boolean => file.endsWith("_test.ts");
