/** Examples of modules that are kept. */
import { equal, notEqual } from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { toFolder } from "./folder.ts";
import { assemble, encode } from "./modules.ts";

const textOf = (name: string): string =>
  `(module (import "kvfold" "memory" (memory 1 65536))
    (func (export "${name}") (param $x i32) (result i32) (local.get $x)))`;

const namesOf = ({ module }: { module: WebAssembly.Module }): string =>
  WebAssembly.Module.exports(module).map((e) => e.name).join();

Deno.test("assemble() makes one module of equal texts", async () => {
  equal(await assemble(textOf("f")), await assemble(textOf("f")));
  notEqual(await assemble(textOf("f")), await assemble(textOf("g")));
});

Deno.test("assemble() takes from a folder only what fits the text", async () => {
  const folder = await mkdtemp(`${tmpdir()}/kvfold-`);
  try {
    // Well-formed files with sound checksums that hold something else: no module, and another one.
    await toFolder(folder, textOf("a"), new Uint8Array([1, 2, 3]));
    await toFolder(folder, textOf("b"), await encode(textOf("c")));
    equal(namesOf(await assemble(textOf("a"), folder)), "a");
    equal(namesOf(await assemble(textOf("b"), folder)), "b");
    await assemble(textOf("d"), folder);
    equal((await readdir(folder)).length, 3);
  } finally {
    await rm(folder, { recursive: true });
  }
});
