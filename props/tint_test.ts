/** The second compiler of shaders is awake: what it is there for is refused. */
import { equal, match } from "node:assert/strict";
import { bin, int, load, num, un, variable } from "../compiler/ir/expr.ts";
import { uniformEnds } from "../compiler/lower/uniform.ts";
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

Deno.test({
  name: "Tint takes a loop with barriers whose end hangs on group memory by way of variables",
  ignore: !tintIsAsked(),
  fn: async () => {
    const tint = await openTint();
    const held: Arr = { name: "held_s0", elem: "f32", space: "shared", mutable: true, length: 1 };
    const [live, last] = [variable("live", "i32"), variable("last", "i32")];
    const body: readonly Stmt[] = [
      par,
      { tag: "var", name: "live", type: "i32", value: int(8) },
      { tag: "assign", name: "live", value: un("toI32", load(held, int(0))) },
      { tag: "var", name: "last", type: "i32", value: bin("min", live, int(4)) },
      { tag: "for", name: "k", from: int(0), to: last, step: 1, body: [par] },
    ];
    const plain = { ...kernelOf(body), shared: [held] };
    match(await tint(plain, emitWgsl(plain)), /uniform control flow/);
    const alike = { ...plain, body: uniformEnds(body) };
    equal(await tint(alike, emitWgsl(alike)), "");
  },
});
