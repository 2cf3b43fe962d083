/**
 * The bytes of kernels are those that an assembler makes of their text: for a program of each kind of kernel, of
 * each way to store, certified ones, and ones whose memory is shared.
 */
import { deepEqual } from "node:assert/strict";
import { PLAIN, prompted, STORED } from "../bench/caches.ts";
import { bytesOf } from "../compiler/emit/binary.ts";
import { f32, get, i32, type Module, op, opOf, set } from "../compiler/emit/instr.ts";
import { CODES } from "../compiler/emit/opcodes.ts";
import { moduleOf } from "../compiler/emit/wasm.ts";
import { textOf } from "../compiler/emit/wat.ts";
import { lower, type Outputs } from "../compiler/pipeline.ts";
import { WASM_TARGET } from "../compiler/runtime/wasm.ts";
import { input } from "../dsl/core/build.ts";
import { SKELETONS } from "../kernels/mod.ts";
import { SCHEDULE } from "../mod.ts";
import { assembled } from "./assembler.ts";
import { SAMPLES } from "./contract/skeletons.ts";

const same = async (module: Module, what: string): Promise<void> =>
  deepEqual(bytesOf(module), await assembled(textOf(module)), what);

const sizes = { kv: 2, group: 2, dim: 64 };

const PROGRAMS: Readonly<Record<string, Outputs>> = {
  ...SAMPLES,
  ...Object.fromEntries(
    [PLAIN, ...STORED].flatMap((way) => [
      [`attention over ${way.name}`, { out: prompted(way, sizes) }],
      [`${way.name} of a cache`, way.codec.encode(input("x", [2, "tokens", 64], "f32"))],
    ]),
  ),
};

Deno.test("bytes of kernels are those of their text", async () => {
  for (const [name, outputs] of Object.entries(PROGRAMS)) {
    const { steps } = lower(outputs, SKELETONS, WASM_TARGET);
    const kernels = steps.map((s) => s.kernel);
    await same(moduleOf(kernels), name);
    await same(moduleOf(kernels, true), `${name}, shared`);
  }
  const fixed = { ...SCHEDULE, fixed: 8 } as const;
  for (const name of ["stream", "attention over rtnGrouped 2"]) {
    const { steps } = lower(PROGRAMS[name], SKELETONS, WASM_TARGET, fixed, {
      codes: true,
      sharp: true,
    });
    await same(moduleOf(steps.map((s) => s.kernel)), `${name}, certified`);
  }
});

/** What an instruction holds, for one that holds lanes: as many as it has. */
const held = (name: string, holds: string | number): readonly (number | string)[] =>
  holds === "nothing"
    ? []
    : holds === "local"
    ? ["v"]
    : holds === "function"
    ? ["f"]
    : holds === "lanes"
    ? name.endsWith("shuffle") ? Array.from({ length: 16 }, (_, k) => k) : [1]
    : [holds === "i32" ? -1 : holds === "f32" ? 0.5 : 16];

/** How deep an instruction reaches into the stack, and what it leaves, from the engine's own answer. */
const forms = (name: string, imm: readonly (number | string)[]): Module[] => {
  const types = { i32: get("i"), f32: get("x"), v128: get("v") } as const;
  const kinds = Object.keys(types) as (keyof typeof types)[];
  const lists = [[], ...kinds.map((a) => [a]), ...kinds.flatMap((a) => kinds.map((b) => [a, b]))];
  const three = kinds.map((a) => [a, a, a]).concat(kinds.map((a) => [a, a, "i32" as const]));
  const given = [...lists, ...three];
  return given.flatMap((list) =>
    [...kinds, undefined].map((result): Module => ({
      shared: false,
      funcs: [{
        name: "f",
        exported: true,
        params: new Map([["i", "i32"], ["x", "f32"]]),
        locals: new Map([["v", "v128"]]),
        ...result === undefined ? {} : { result },
        body: [opOf(name, imm, ...list.map((k) => types[k]))],
      }],
    }))
  );
};

Deno.test("every instruction has the code of its name", async () => {
  for (const [name, { holds }] of CODES) {
    if (holds === "function") continue;
    const sound = forms(name, held(name, holds)).find((m) => WebAssembly.validate(bytesOf(m)));
    if (sound === undefined) throw new Error(`${name} has no use that the engine accepts`);
    await same(sound, name);
  }
});

Deno.test("numbers of any size are written as an assembler writes them", async () => {
  const numbers = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2 ** 31 - 1, -(2 ** 31), 2 ** 31];
  const floats = [0, -0, 1, -1.5, 1e-45, 3.4028234663852886e38, 0.1, Infinity, -Infinity];
  await same({
    shared: false,
    funcs: [{
      name: "numbers",
      exported: true,
      params: new Map([["a", "i32"]]),
      locals: new Map([["x", "f32"], ["b", "i32"], ["y", "f32"]]),
      body: [
        ...numbers.map((n) => set("a", i32(n))),
        ...floats.map((n) => set("x", f32(n))),
        ...[0, 127, 128, 2 ** 31].map((n) => set("b", opOf("i32.load", [n], get("a")))),
        { op: "for", imm: ["b", 8], args: [i32(0), get("a")], body: [set("y", get("x"))] },
        { op: "if", imm: [], args: [op("i32.eqz", get("a"))], body: [set("a", i32(3))] },
      ],
    }],
  }, "numbers");
});
