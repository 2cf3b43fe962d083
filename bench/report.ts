/**
 * `deno task bench --html`: one page of the stored results, `bench/results/speed.html`. Nothing is
 * measured for it; what was not measured yet is said, with the command that does.
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { digits, type Machine, type Table } from "./harness.ts";
import type { Figure } from "./page/figure.ts";
import { type Cell, type Grid, pageHtml, type Section } from "./page/html.ts";
import { bits, growth, peers, roofline } from "./report/figures.ts";
import { parseResult, type Result } from "./report/read.ts";

interface Part {
  readonly title: string;
  readonly text: string;
  /** The benchmark that it draws. */
  readonly of: string;
  readonly figures: (result: Result) => readonly Figure[];
}

const PARTS: readonly Part[] = [
  {
    title: "Peers",
    text:
      "What a user could run in place of kvfold, in turns with it on the same machine. Every case " +
      "agreed with an f64 loop over the values it stores before it was timed.",
    of: "peers",
    figures: peers,
  },
  {
    title: "Growth",
    text: "One program serves every length of the cache.",
    of: "growth",
    figures: growth,
  },
  {
    title: "Speed and bits",
    text: "What fewer bits bring.",
    of: "attention",
    figures: bits,
  },
  {
    title: "Roofs",
    text: "How far each kernel is from what the machine allows inside WebAssembly on one thread.",
    of: "attention",
    figures: roofline,
  },
];

const gridOf = ({ rows }: Table): Grid => {
  const heads = [...new Set(rows.flatMap((r) => Object.keys(r)))];
  const cell = (value: string | number | undefined): Cell =>
    typeof value === "number"
      ? { text: Number.isInteger(value) ? `${value}` : digits(value), value }
      : value ?? "";
  return {
    columns: heads.map((head) => ({ head, about: head })),
    rows: rows.map((r) => ({ cells: heads.map((h) => cell(r[h])), marked: false })),
  };
};

const machineText = ({ cpu, cores, runtime, commit, changed, date }: Machine): string =>
  [
    `${cpu}, ${cores} cores`,
    ...Object.entries(runtime).map(([k, v]) => `${k} ${v}`),
    `commit ${commit.slice(0, 10)}${changed ? " with changes" : ""}`,
    date,
  ].join(", ");

/** The page of the results that are there, by the name of their benchmark. */
export const report = (results: ReadonlyMap<string, Result>): string => {
  const drawn = PARTS.map(({ title, text, of, figures }): Section => {
    const result = results.get(of);
    return result === undefined
      ? { title, text: [`Not measured yet: deno task bench --only ${of}`], figures: [], grids: [] }
      : { title, text: [text], figures: figures(result), grids: [] };
  });
  const tables = [...results.values()].flatMap((r) => r.tables).map((t): Section => ({
    title: t.title,
    text: [],
    figures: [],
    grids: [gridOf(t)],
  }));
  return pageHtml({
    title: "kvfold: speed",
    lead:
      "Decode attention over compressed caches, measured in WebAssembly on one thread unless said " +
      "otherwise.",
    sections: [...drawn, ...tables],
    footer: [...results].map(([name, r]) => `${name}: ${machineText(r.machine)}`).join(" · "),
  });
};

/** Writes the page of what lies in `bench/results/`; returns its path. */
export const writeReport = (): string => {
  const path = (name: string): string => fileURLToPath(new URL(`results/${name}`, import.meta.url));
  const results = new Map<string, Result>();
  for (const { of } of PARTS) {
    const file = path(`${of}.json`);
    if (existsSync(file)) results.set(of, parseResult(file, readFileSync(file, "utf8")));
  }
  writeFileSync(path("speed.html"), report(results));
  return path("speed.html");
};
