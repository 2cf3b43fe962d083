import assert from "node:assert/strict";
import { tidy } from "./tidy.ts";
import { cycles, deadFiles, facade, layerOrder, testsAreFound } from "./tidy/modules.ts";
import { type Files, mentions, type Violation } from "./tidy/scan.ts";
import { links, registries, size, titles, unfinished } from "./tidy/texts.ts";

const set = (files: Record<string, string>): Files => new Map(Object.entries(files));
const shown = (found: readonly Violation[]): readonly string[] =>
  found.map(({ file, line, text }) => `${file}:${line}: ${text}`);

Deno.test("mentions() sees every way to import, and no text that only looks like one", () => {
  const text = [
    'import { a } from "./a.ts";',
    "import {",
    "  b,",
    '} from "./b.ts";',
    'import "./c.ts";',
    'export type { D } from "./d.ts";',
    'export const e = (): unknown => import("./e.ts");',
    'const w = new Worker(new URL("./w.ts", import.meta.url));',
    ' * import { f } from "./comment.ts";',
    "const g = 'import(\"./string.ts\")';",
    '// import("./line.ts")',
    'import { fold } from "kvfold";',
    'import { pipe } from "kvfold/fp";',
    'import fs from "node:fs";',
  ].join("\n");
  const found = mentions("dsl/x.ts", text).map((m) => `${m.line} ${m.target ?? m.spec}`).sort();
  assert.deepEqual(found, [
    "1 dsl/a.ts",
    "12 mod.ts",
    "13 fp.ts",
    "14 node:fs",
    "4 dsl/b.ts",
    "5 dsl/c.ts",
    "6 dsl/d.ts",
    "7 dsl/e.ts",
    "8 dsl/w.ts",
  ]);
});

Deno.test("layerOrder() accepts imports that go down", () => {
  const files = set({
    "fp.ts": "",
    "dsl/a.ts": 'import "../fp.ts";',
    "compiler/a.ts": 'import "../dsl/a.ts";',
    "kernels/a.ts": 'import "../compiler/a.ts";',
    "mod.ts": 'import "./kernels/a.ts";\nimport "./dsl/a.ts";',
    "models/a.ts": 'import "kvfold";\nimport "kvfold/fp";',
    "examples/a.ts": 'import "../models/a.ts";\nimport "kvfold";',
    "bench/main.ts": 'import "../models/a.ts";\nimport "../compiler/a.ts";',
  });
  assert.deepEqual(layerOrder(files), []);
});

Deno.test("layerOrder() rejects imports that go up", () => {
  const files = set({
    "dsl/a.ts": 'import "../compiler/a.ts";',
    "compiler/a.ts": '\nimport type { S } from "../kernels/a.ts";',
    "kernels/a.ts": 'import "kvfold";',
    "mod.ts": 'import "./models/a.ts";',
    "models/a.ts": 'import "../dsl/a.ts";\nimport "../examples/a.ts";',
    "examples/a.ts": "",
  });
  assert.deepEqual(shown(layerOrder(files)), [
    "dsl/a.ts:1: imports compiler/a.ts: dsl lies below compiler",
    "compiler/a.ts:2: imports kernels/a.ts: compiler lies below kernels",
    "kernels/a.ts:1: imports mod.ts: kernels lies below mod.ts",
    "mod.ts:1: imports models/a.ts: mod.ts lies below models",
    "models/a.ts:1: imports dsl/a.ts: models come in by mod.ts",
    "models/a.ts:2: imports examples/a.ts: models come in by mod.ts",
  ]);
});

Deno.test("layerOrder() lets tests and props reach up, and tools stand alone", () => {
  const files = set({
    "dsl/a_test.ts": 'import "../mod.ts";',
    "props/a.ts": 'import "../bench/main.ts";',
    "bench/main.ts": 'import "../tools/t.ts";',
    "tools/t.ts": 'import "../mod.ts";\nimport "./u.ts";\nimport "node:fs";',
    "tools/u.ts": "",
    "mod.ts": 'import "./dsl/a_test.ts";',
  });
  assert.deepEqual(shown(layerOrder(files)), [
    "bench/main.ts:1: imports tools/t.ts: nothing imports a tool",
    "tools/t.ts:1: imports mod.ts: tools stand alone",
    "mod.ts:1: imports dsl/a_test.ts: only a test imports a test",
  ]);
});

Deno.test("layerOrder() rejects a folder without a layer and a missing file", () => {
  const files = set({ "utils/a.ts": "", "dsl/a.ts": 'import "./gone.ts";' });
  assert.deepEqual(shown(layerOrder(files)), [
    "utils/a.ts:1: utils is not a layer",
    "dsl/a.ts:1: imports dsl/gone.ts: there is no such file",
  ]);
});

Deno.test("cycles() counts type-only imports and prints the way round", () => {
  const files = set({
    "dsl/a.ts": 'import "./b.ts";',
    "dsl/b.ts": '\nimport type { C } from "./c.ts";',
    "dsl/c.ts": 'export * from "./a.ts";',
    "dsl/d.ts": 'import "./a.ts";\nimport "./b.ts";',
  });
  assert.deepEqual(shown(cycles(files)), [
    "dsl/c.ts:1: cycle: dsl/a.ts -> dsl/b.ts -> dsl/c.ts -> dsl/a.ts",
  ]);
});

Deno.test("cycles() accepts a diamond, and a worker that knows its starter's types", () => {
  const files = set({
    "dsl/a.ts": 'import "./b.ts";\nimport "./c.ts";',
    "dsl/b.ts": 'import "./d.ts";',
    "dsl/c.ts": 'import "./d.ts";\nnew Worker(new URL("./w.ts", import.meta.url));',
    "dsl/d.ts": "",
    "dsl/w.ts": 'import type { M } from "./c.ts";',
  });
  assert.deepEqual(cycles(files), []);
});

Deno.test("deadFiles() finds what no entry reaches", () => {
  const files = set({
    "mod.ts": 'export * from "./dsl/a.ts";',
    "dsl/a.ts": 'new Worker(new URL("./w.ts", import.meta.url));',
    "dsl/w.ts": "",
    "dsl/lost.ts": 'import "./lost2.ts";',
    "dsl/lost2.ts": "",
    "dsl/a_test.ts": "",
    "props/laws.ts": "",
    "bench/main.ts": "",
    "bench/lost.ts": "",
    "examples/demo.ts": "",
    "models/wiki4m/train.ts": "",
    "tools/trace.ts": "",
    "tools/trace/lost.ts": "",
  });
  assert.deepEqual(deadFiles(files).map((v) => v.file), [
    "dsl/lost.ts",
    "dsl/lost2.ts",
    "bench/lost.ts",
    "tools/trace/lost.ts",
  ]);
});

Deno.test("facade() lets only fp.ts import fp-ts", () => {
  const line = 'export { pipe } from "fp-ts/lib/function.js";';
  assert.deepEqual(shown(facade(set({ "fp.ts": line, "dsl/a.ts": line }))), [
    "dsl/a.ts:1: imports fp-ts/lib/function.js: only fp.ts may",
  ]);
});

Deno.test("testsAreFound() wants tests in files the runner finds", () => {
  const text = '\nDeno.test("a", () => {});';
  assert.deepEqual(shown(testsAreFound(set({ "props/a.ts": text, "props/a_test.ts": text }))), [
    "props/a.ts:2: a test outside *_test.ts",
  ]);
});

Deno.test("size() stops at 400 lines and passes data by", () => {
  const lines = (n: number): string => "x\n".repeat(n);
  const files = set({
    "dsl/a.ts": lines(400),
    "dsl/b.ts": lines(401),
    "models/data/words.ts": lines(500),
    "models/m/vocab.json": lines(500),
  });
  assert.deepEqual(shown(size(files)), ["dsl/b.ts:401: 401 lines, over 400"]);
});

Deno.test("titles() wants one title a document and looks past fences", () => {
  const files = set({
    "a.md": "# A\n\n```sh\n# a comment\n```\n\n## B\n",
    "b.md": "# A\n\ntext\n\n# B\n",
    "c.md": "## A\n",
  });
  assert.deepEqual(shown(titles(files)), ["b.md:5: a second title", "c.md:1: no title"]);
});

Deno.test("links() wants a file, a folder or a heading at the other end", () => {
  const files = set({
    "README.md": [
      "# A",
      "[ok](docs/b.md), [ok](docs), [ok](docs/), [ok](https://example.com/x), [ok](#a)",
      "[ok](docs/b.md#one-noun-many-readings) `[ok](in-code.md)`",
      "[bad](docs/gone.md)",
      "[bad](docs/b.md#gone)",
    ].join("\n"),
    "docs/b.md": "# B\n\n[ok](../README.md)\n\n## One noun, `many` readings\n",
  });
  assert.deepEqual(shown(links(files)), [
    "README.md:4: broken link: docs/gone.md",
    "README.md:5: no such heading: docs/b.md#gone",
  ]);
});

Deno.test("unfinished() finds the three words, and not within others", () => {
  const files = set({ "dsl/a.ts": "// fine\n// TO" + "DO later\n", "dsl/b.ts": "TO" + "DOS" });
  assert.deepEqual(shown(unfinished(files)), ["dsl/a.ts:2: unfinished: TO" + "DO"]);
});

Deno.test("registries() finds a registry's host, and no other", () => {
  const hosts = [
    "registry.npm" + "js.org",
    "js" + "r.io",
    "packages-reg" + "istry.example.net",
    "u" + "npkg.com",
  ];
  for (const host of hosts) {
    const text = `{\n"u": "https://${host}/x"}`;
    assert.deepEqual(shown(registries(set({ "a.json": text }))), [
      `a.json:2: a registry's host: ${host}`,
    ]);
  }
  assert.deepEqual(
    registries(set({ "a.ts": "registry.entries.map(f) https://docs.deno.com https://arxiv.org" })),
    [],
  );
});

Deno.test("tidy() joins the rules in the order of file and line", () => {
  const files = set({ "mod.ts": 'import "./dsl/gone.ts";', "dsl/a.ts": "", "a.md": "" });
  assert.deepEqual(shown(tidy(files)), [
    "a.md:1: no title",
    "dsl/a.ts:1: dead: reached from no entry",
    "mod.ts:1: imports dsl/gone.ts: there is no such file",
  ]);
});
