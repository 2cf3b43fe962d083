/** The second compiler of shaders is awake: what it is there for is refused. */
import { equal, match } from "node:assert/strict";
import { bin, int, num, variable } from "../compiler/ir/expr.ts";
import { emitWgsl } from "../compiler/emit/wgsl.ts";
import type { Arr, Kernel, Stmt } from "../mod.ts";
import { openTint, tintIsAsked } from "./tint.ts";

const y: Arr = { name: "out0", elem: "f32", space: "storage", mutable: true, length: 0 };

const kernelOf = (body: readonly Stmt[]): Kernel => ({
  name: "sample",
  skeleton: "map",
  arrays: [y],
  shared: [],
  uniforms: ["n"],
  lanes: 64,
  groups: () => 1,
  body,
});

const par: Stmt = {
  tag: "par",
  name: "i",
  count: int(64),
  body: [{ tag: "store", arr: y, index: variable("i", "i32"), value: num(1) }],
};

Deno.test({
  name: "Tint takes a barrier that all lanes meet, and refuses one that some do not",
  ignore: !tintIsAsked(),
  fn: async () => {
    const tint = await openTint();
    const good = kernelOf([par]);
    equal(await tint(good, emitWgsl(good)), "");
    const some = bin("lt", variable("lane", "i32"), int(3));
    const bad = kernelOf([{ tag: "if", condition: some, body: [par] }]);
    match(await tint(bad, emitWgsl(bad)), /uniform control flow/);
  },
});
