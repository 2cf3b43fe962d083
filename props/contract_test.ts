/** Every law on everything that is listed, and the documents that say so. */
import { deepEqual, ok } from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { CONTRACT } from "./contract.ts";

for (const { name, holds } of CONTRACT) Deno.test(name, holds);

const text = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

/** A text of one line, so that it is found however a table wraps or a signature breaks. */
const flat = (s: string): string => s.replace(/\s+/g, " ").replaceAll("\\|", "|");

Deno.test("contract: no two clauses have one name, and every kind has things and laws", () => {
  const names = CONTRACT.map(({ name }) => name);
  deepEqual(names.filter((name, i) => names.indexOf(name) < i), []);
  const kinds = new Set(CONTRACT.map(({ kind }) => kind));
  for (const kind of kinds) {
    const own = CONTRACT.filter((clause) => clause.kind === kind);
    ok(new Set(own.map(({ thing }) => thing)).size > 1, `one ${kind} only`);
  }
});

Deno.test("docs/laws.md has a sentence for every law", () => {
  const laws = flat(text("../docs/laws.md"));
  const said = new Set(CONTRACT.map(({ kind, says }) => `${kind}: ${says}`));
  deepEqual([...said].filter((law) => !laws.includes(law.slice(law.indexOf(": ") + 2))), []);
  const files = readdirSync(new URL("laws/", import.meta.url)).filter((f) => f.endsWith(".ts"));
  const named = files.flatMap((file) =>
    [...text(`laws/${file}`).matchAll(/^export const (\w+(?:Law|Broken|Excess|Verdict))\b/gm)]
      .map(([, name]) => name)
  );
  ok(named.length > 20, "laws are found by their names");
  deepEqual(named.filter((name) => !laws.includes(`\`${name}\``)), []);
});
