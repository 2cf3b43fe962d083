/**
 * Taste as a test: `deno task tidy` reads the repository and prints what breaks its rules.
 * Uses built-in modules only. Each rule is a pure function over a map of path to text.
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { cycles, deadFiles, facade, layerOrder, testsAreFound } from "./tidy/modules.ts";
import type { Files, Violation } from "./tidy/scan.ts";
import { links, registries, size, titles, unfinished } from "./tidy/texts.ts";

/** The rules, by name. */
export const rules: Readonly<Record<string, (files: Files) => readonly Violation[]>> = {
  layerOrder,
  cycles,
  deadFiles,
  facade,
  testsAreFound,
  size,
  titles,
  links,
  unfinished,
  registries,
};

/** Everything the rules object to, in the order of file and line. */
export const tidy = (files: Files): readonly Violation[] =>
  Object.values(rules)
    .flatMap((rule) => rule(files))
    .sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line);

const skipped = new Set(["node_modules", "coverage"]);
/** Folders that begin with a dot are tools' own, but for the one that says how the project is checked. */
const hidden = (name: string): boolean => name.startsWith(".") && name !== ".ci";
const textual = /(^|\/)[^/.]+$|\.(ts|js|md|jsonc?|ya?ml|toml|sh|wgsl|wat)$|(^|\/)\.gitignore$/;
const maxBytes = 1 << 20;

/** The files under a folder. What is not text stands in the map with an empty text. */
export const read = (root: string): Files => {
  const files = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(root + folder, { withFileTypes: true })) {
      if (skipped.has(entry.name)) continue;
      const path = folder + entry.name;
      if (entry.isDirectory() && hidden(entry.name)) continue;
      if (entry.isDirectory()) walk(`${path}/`);
      else if (entry.isFile()) {
        const legible = textual.test(path) && statSync(root + path).size <= maxBytes;
        files.set(path, legible ? readFileSync(root + path, "utf8") : "");
      }
    }
  };
  walk("");
  return files;
};

if (import.meta.main) {
  const files = read(fileURLToPath(new URL("../", import.meta.url)));
  const found = tidy(files);
  for (const { file, line, text } of found) console.error(`${file}:${line}: ${text}`);
  if (found.length > 0) process.exit(1);
  console.log(`tidy: ${files.size} files, ok`);
}
