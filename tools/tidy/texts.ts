/**
 * Rules about texts: size, one title a document, links, words that must not be left behind.
 * @module
 */
import { posix } from "node:path";
import { type Files, isData, lineAt, type Violation } from "./scan.ts";

/** A file longer than this wants to be two. */
const maxLines = 400;

const written = (files: Files): readonly (readonly [string, string])[] =>
  [...files].filter(([file]) => !isData(file));

const documents = (files: Files): readonly (readonly [string, string])[] =>
  written(files).filter(([file]) => file.endsWith(".md"));

/** A document with its fenced blocks and code spans blanked; lines stay where they are. */
const prose = (text: string): string =>
  text
    .replace(/^( *)(`{3,}|~{3,})[^]*?^ *\2.*$/gm, (block) => block.replace(/[^\n]/g, " "))
    .replace(/(`+)[^`\n]+\1/g, (span) => " ".repeat(span.length));

/** No code file and no document is longer than 400 lines. */
export const size = (files: Files): readonly Violation[] =>
  written(files)
    .filter(([file]) => /\.(ts|md)$/.test(file))
    .map(([file, text]) => [file, text.replace(/\n$/, "").split("\n").length] as const)
    .filter(([, lines]) => lines > maxLines)
    .map(([file, lines]) => ({ file, line: maxLines + 1, text: `${lines} lines, over 400` }));

/** A document has one `# ` title. */
export const titles = (files: Files): readonly Violation[] =>
  documents(files).flatMap(([file, text]) => {
    const found = [...prose(text).matchAll(/^# /gm)];
    if (found.length === 0) return [{ file, line: 1, text: "no title" }];
    return found.slice(1).map((m) => ({
      file,
      line: lineAt(text, m.index),
      text: "a second title",
    }));
  });

/** The anchors a document offers, as the usual renderers name them. */
const anchors = (text: string): ReadonlySet<string> => {
  const headings = text.replace(/^( *)(`{3,}|~{3,})[^]*?^ *\2.*$/gm, "").matchAll(/^#+ +(.*)$/gm);
  const slugs = [...headings].map((m) =>
    m[1]!.trim().toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-")
  );
  const count = new Map<string, number>();
  return new Set(slugs.map((slug) => {
    const n = count.get(slug) ?? 0;
    count.set(slug, n + 1);
    return n === 0 ? slug : `${slug}-${n}`;
  }));
};

/** Links between documents lead somewhere, anchors included. */
export const links = (files: Files): readonly Violation[] => {
  const exists = (path: string): boolean =>
    path === "." || files.has(path) || [...files.keys()].some((f) => f.startsWith(`${path}/`));
  return documents(files).flatMap(([file, text]) =>
    [...prose(text).matchAll(/\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g)].flatMap((m) => {
      const link = m[1]!;
      if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return [];
      const [path, anchor] = link.split("#");
      const joined = path === "" ? file : posix.join(posix.dirname(file), decodeURI(path!));
      const target = joined.replace(/(.)\/$/, "$1");
      const line = lineAt(text, m.index);
      if (!exists(target)) return [{ file, line, text: `broken link: ${link}` }];
      if (!anchor || !target.endsWith(".md")) return [];
      const there = anchors(files.get(target) ?? "").has(anchor);
      return there ? [] : [{ file, line, text: `no such heading: ${link}` }];
    })
  );
};

const forbidden = (pattern: RegExp, why: string) => (files: Files): readonly Violation[] =>
  written(files).flatMap(([file, text]) =>
    [...text.matchAll(pattern)].map((m) => ({
      file,
      line: lineAt(text, m.index),
      text: `${why}: ${m[0]}`,
    }))
  );

/** No unfinished work is left in a file. The pattern is spelled so as not to match itself. */
export const unfinished: (files: Files) => readonly Violation[] = forbidden(
  /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/g,
  "unfinished",
);

/** Hosts known by name, then any that an address calls a registry. */
const registryHosts = [
  /\b(?:www\.|registry\.)?(?:npmjs|yarnpkg|npmmirror)\.(?:com|org)\b/,
  /\b(?:npm\.)?jsr\.io\b|\bcrates\.io\b|\bpypi\.org\b|\bpythonhosted\.org\b/,
  /\bdeno\.land\b|\besm\.sh\b|\bunpkg\.com\b|\bcdn\.jsdelivr\.net\b/,
  /(?<=:\/\/)[\w.-]*(?:registry|artifactory|nexus|npm|pypi)[\w-]*(?:\.[\w-]+)+/,
].map((r) => r.source).join("|");

/** No file names the host of a package registry. */
export const registries: (files: Files) => readonly Violation[] = forbidden(
  new RegExp(registryHosts, "g"),
  "a registry's host",
);
