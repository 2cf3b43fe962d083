/**
 * Rules about modules: layers, cycles, dead files, the facade over fp-ts, where tests live.
 * @module
 */
import { type Files, graph, isTest, lineAt, type Violation } from "./scan.ts";

/** The layers, lowest first. A file imports its own layer and lower ones. */
const layers: Readonly<Record<string, number>> = {
  "fp.ts": 0,
  "dsl": 1,
  "compiler": 2,
  "kernels": 3,
  "mod.ts": 4,
  "cli": 5,
  "models": 5,
  "props": 6,
  "bench": 6,
  "examples": 6,
};

/** A model comes in by the public door, as any other program would. */
const modelsMayImport = ["models", "mod.ts", "fp.ts"];

const top = (file: string): string => file.split("/")[0]!;

const objection = (from: string, to: string): string | undefined => {
  const [a, b] = [top(from), top(to)];
  if (a === b) return undefined;
  if (a === "tools") return "tools stand alone";
  if (isTest(from) || a === "props") return undefined;
  if (b === "tools") return "nothing imports a tool";
  if (isTest(to)) return "only a test imports a test";
  if (a === "models" && !modelsMayImport.includes(b)) return "models come in by mod.ts";
  const [i, j] = [layers[a], layers[b]];
  if (i === undefined || j === undefined) return undefined;
  return j > i ? `${a} lies below ${b}` : undefined;
};

/** Each TypeScript file has a layer, and imports go down only. */
export const layerOrder = (files: Files): readonly Violation[] =>
  [...graph(files)].flatMap(([file, out]) => [
    ...(top(file) in layers || top(file) === "tools" || isTest(file)
      ? []
      : [{ file, line: 1, text: `${top(file)} is not a layer` }]),
    ...out.flatMap(({ target, line }) => {
      if (target === undefined) return [];
      const why = files.has(target) ? objection(file, target) : "there is no such file";
      return why === undefined ? [] : [{ file, line, text: `imports ${target}: ${why}` }];
    }),
  ]);

/** No file reaches itself by imports; type-only imports count. */
export const cycles = (files: Files): readonly Violation[] => {
  const edges = graph(files);
  const done = new Set<string>();
  const found: Violation[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (done.has(file)) return;
    const here = [...path, file];
    for (const { target, kind, line } of edges.get(file) ?? []) {
      if (target === undefined || kind === "url") continue;
      const start = here.indexOf(target);
      if (start < 0) visit(target, here);
      else {
        found.push({ file, line, text: `cycle: ${[...here.slice(start), target].join(" -> ")}` });
      }
    }
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
  return found;
};

/** Where reading may start. */
const entry =
  /^(mod|fp)\.ts$|^(examples|tools|props|models\/wiki4m)\/[^/]+\.ts$|^bench\/(main|compare)\.ts$|_test\.ts$/;

/** Every TypeScript file is reached from an entry. */
export const deadFiles = (files: Files): readonly Violation[] => {
  const edges = graph(files);
  const alive = new Set<string>();
  const visit = (file: string): void => {
    if (alive.has(file)) return;
    alive.add(file);
    for (const { target } of edges.get(file) ?? []) if (target !== undefined) visit(target);
  };
  for (const file of edges.keys()) if (entry.test(file)) visit(file);
  return [...edges.keys()]
    .filter((file) => !alive.has(file) && !file.endsWith(".d.ts"))
    .map((file) => ({ file, line: 1, text: "dead: reached from no entry" }));
};

/** Only `fp.ts` names fp-ts. */
export const facade = (files: Files): readonly Violation[] =>
  [...graph(files)].flatMap(([file, out]) =>
    out
      .filter(({ spec }) => file !== "fp.ts" && /^(npm:\/?)?fp-ts\b/.test(spec))
      .map(({ line, spec }) => ({ file, line, text: `imports ${spec}: only fp.ts may` }))
  );

/** A test stands in a file that the runner finds by its name. */
export const testsAreFound = (files: Files): readonly Violation[] =>
  [...files].flatMap(([file, text]) => {
    const at = file.endsWith(".ts") && !isTest(file) ? text.search(/^Deno\.test\(/m) : -1;
    return at < 0 ? [] : [{ file, line: lineAt(text, at), text: "a test outside *_test.ts" }];
  });
