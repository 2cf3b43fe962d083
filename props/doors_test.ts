/** What may not come in: every door says no, and names what was wrong. */
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import { isLeft, isRight } from "../fp.ts";
import {
  cast,
  compile,
  type Device,
  type DType,
  foldOver,
  gather,
  input,
  iota,
  map,
  openWebgpu,
  quantize,
  rtnGrouped,
  softmaxFold,
  type Term,
  tryCompile,
  upload,
  wasm,
} from "../mod.ts";
import { openWasm } from "../compiler/runtime/wasm.ts";
import { hold } from "./check.ts";
import { onDevices } from "./devices.ts";

const ROWS = 3;

/** Inputs of every kind, with values that fit. */
const INPUTS: Readonly<Record<string, { readonly term: Term; readonly good: readonly number[] }>> =
  {
    numbers: { term: input("numbers", ["n", 4], "f32"), good: Array(4 * ROWS).fill(-1.5) },
    halves: { term: input("halves", ["n"], "f16"), good: Array(ROWS).fill(0.25) },
    codes: { term: input("codes", ["n", 4], "u4"), good: Array(4 * ROWS).fill(15) },
    indices: { term: input("indices", [2], "u32"), good: [7, 0] },
  };
const NAMES = Object.keys(INPUTS);
const OUTPUTS = Object.fromEntries(
  NAMES.map((name) => [`sum of ${name}`, foldOver("sum", "sum", INPUTS[name].term, [0])]),
);
const good = (): Record<string, number[]> =>
  Object.fromEntries(NAMES.map((name) => [name, [...INPUTS[name].good]]));

/** Numbers that have no place in a dtype. */
const UNFIT: Readonly<Record<DType, readonly number[]>> = {
  f32: [NaN, Infinity, -Infinity, 1e39, -1e39],
  f16: [NaN, Infinity, -Infinity, 65536],
  e4m3: [NaN, Infinity, -Infinity, 449],
  e5m2: [NaN, Infinity, -Infinity, 65536],
  e8m0: [NaN, Infinity, -1, 0, 2 ** -127],
  u32: [NaN, Infinity, -1, 0.5, 2 ** 24 + 1],
  u1: [NaN, -Infinity, -1, 0.5, 2],
  u2: [NaN, -Infinity, -1, 0.5, 4],
  u3: [NaN, -Infinity, -1, 0.5, 8],
  u4: [NaN, -Infinity, -1, 0.5, 16],
  u8: [NaN, -Infinity, -1, 0.5, 256],
  i16: [],
  i8: [],
};

/** A device that counts the memories it has given and not got back. */
const counting = (device: Device): { device: Device; held: () => number } => {
  let held = 0;
  return {
    device: {
      ...device,
      alloc: (words) => {
        held++;
        return device.alloc(words);
      },
      free: (memory) => {
        held--;
        device.free(memory);
      },
    },
    held: () => held,
  };
};

onDevices(
  "doors: one unfit number in any place of any input is an error that names it, and holds no memory",
  { wasm: 200, webgpu: 50 },
  async (plain, runs) => {
    const { device, held } = counting(plain);
    const program = await compile(OUTPUTS, { device });
    await program.values(good());
    equal(held(), 0);
    await hold(
      fc.asyncProperty(
        fc.constantFrom(...NAMES).chain((name) =>
          fc.record({
            name: fc.constant(name),
            place: fc.nat({ max: INPUTS[name].good.length - 1 }),
            unfit: fc.constantFrom(...UNFIT[INPUTS[name].term.dtype]),
          })
        ),
        async ({ name, place, unfit }) => {
          const inputs = good();
          inputs[name][place] = unfit;
          await rejects(program.values(inputs), (error: Error) => {
            equal(error.name, "InputError");
            const start = `input "${name}": value ${place} is ${unfit}, `;
            ok(error.message.startsWith(start), error.message);
            return true;
          });
          equal(held(), 0);
        },
      ),
      runs,
    );
    const before = await program.values(good());
    deepEqual(before["sum of indices"], Float64Array.of(7));
  },
);

onDevices(
  "doors: values and sizes that do not fit the program",
  { wasm: 1, webgpu: 1 },
  async (plain) => {
    const { device, held } = counting(plain);
    const program = await compile(OUTPUTS, { device });
    const refuses = (
      change: Readonly<Record<string, unknown>>,
      message: RegExp,
      sizes?: Readonly<Record<string, number>>,
    ): Promise<void> =>
      rejects(
        program.run({ ...good(), ...change as Record<string, number[]> }, sizes),
        { name: "InputError", message },
      );
    const tensor = (dtype: DType, shape: readonly number[]): Promise<void> => {
      const made = upload(device, "x", dtype, shape, Array(shape.reduce((a, b) => a * b)).fill(1));
      const wanted = /"numbers": is .*, the program wants f32 \["n",4\]/;
      return refuses({ numbers: made }, wanted).finally(made.dispose);
    };
    await refuses({ codes: undefined }, /"codes": no value was given/);
    await refuses({ indices: [1] }, /"indices": shape \[2\] holds 2 values, got 1/);
    await refuses({ numbers: [1, 2, 3] }, /"numbers": 3 values do not fill rows of 4/);
    await refuses({ halves: [1] }, /"halves": shape \[3\] holds 3 values, got 1/);
    await refuses({}, /"numbers": shape \[2,4\] holds 8 values, got 12/, { n: 2 });
    for (const n of [-1, 1.5, NaN]) await refuses({}, /"sizes": dim n is .*, not a count/, { n });
    await tensor("f32", [3, 5]);
    await tensor("f32", [4]);
    await tensor("f16", [3, 4]);
    const two = upload(device, "x", "f32", [2, 4], Array(8).fill(1));
    const three = upload(device, "h", "f16", [3], Array(3).fill(1));
    await refuses({ numbers: two, halves: three }, /"halves": dim n is 3, elsewhere 2/);
    two.dispose();
    await rejects(two.read(), { name: "DeviceError", message: /disposed of/ });
    await rejects(program.run({ ...good(), numbers: two }), { name: "DeviceError" });
    three.dispose();
    equal(held(), 0);

    const free = await compile({ y: map("neg", input("x", ["n", "m"], "f32")) }, { device });
    await rejects(free.run({ x: [1, 2] }), {
      message: 'input "x": sizes n and m are not known: give them by name',
    });
    const unbound = await compile({ y: iota(["m"], 0) }, { device });
    await rejects(unbound.run({}), { name: "InputError", message: /dim m .* is not known/ });
    equal(held(), 0);
  },
);

Deno.test("doors: a tensor of another device", async () => {
  const [here, there] = [openWasm(), openWasm()];
  const x = input("x", [2], "f32");
  const program = await compile({ y: map("neg", x) }, { device: here });
  const given = upload(there, "x", "f32", [2], [1, 2]);
  await rejects(program.values({ x: given }), {
    name: "InputError",
    message: 'input "x": lies on another wasm, the program runs on wasm',
  });
});

Deno.test("doors: codes of 5 and 16 bits, of 1 bit around 0, and groups that do not divide", () => {
  for (const bits of [5, 16, 0, -4, 2.5, NaN]) {
    throws(() => quantize({ bits: bits as 2, per: "token", range: "symmetric" }), {
      name: "ValueError",
      message: `quantize: bits are ${bits}, not one of 1, 2, 3, 4, 8`,
    });
  }
  throws(() => quantize({ bits: 1, per: "token", range: "symmetric" }), {
    name: "ValueError",
    message: "quantize: bits are 1, range is symmetric: 2^(1 - 1) - 1 = 0 levels beside 0",
  });
  throws(() => rtnGrouped(4, 32).encode(input("x", [2, "t", 48], "f32")), {
    name: "ShapeError",
    message: 'quantize: group 32 does not divide the last axis of [2,"t",48]',
  });
  throws(
    () => quantize({ bits: 4, per: "token", range: "symmetric" }).encode(input("x", [8], "f32")),
    {
      name: "ShapeError",
    },
  );
});

Deno.test("doors: what no kernel can make is a CompileError, as a value", async () => {
  const s = input("s", [3, 4], "f32");
  const refused: Readonly<Record<string, { readonly term: Term; readonly message: RegExp }>> = {
    "two folded labels": {
      term: softmaxFold("a b, a b -> ", s, input("v", [3, 4], "f32")),
      message: /fold softmax folds 2 labels, not one/,
    },
    "no folded label": {
      term: softmaxFold("a b, b -> a b", s, input("v", [4], "f32")),
      message: /fold softmax folds 0 labels, not one/,
    },
    "a label of one operand": {
      term: softmaxFold("a b, a -> a", s, input("v", [3], "f32")),
      message: /label b is not in both operands/,
    },
    "codes in rows of a dynamic size": {
      term: map("neg", input("c", ["n"], "u4")),
      message: /input of u4 has rows of the dynamic size n/,
    },
    "a cast to codes in rows of a dynamic size": {
      term: cast(input("c", [2, "n"], "f32"), "u2"),
      message: /cast of u2 has rows of the dynamic size n/,
    },
    "one name, two inputs": {
      term: map("add", input("x", [4], "f32"), input("x", [4], "f16")),
      message: /"x" is f32 \[4\] and f16 \[4\]/,
    },
  };
  for (const [name, { term, message }] of Object.entries(refused)) {
    const result = await tryCompile({ y: term });
    ok(isLeft(result), name);
    equal(result.left.name, "CompileError");
    match(result.left.message, message);
    await rejects(compile({ y: term }), { name: "CompileError", message });
  }
});

Deno.test("doors: more memory than a device has", () => {
  throws(() => wasm().alloc(2 ** 31), { name: "DeviceError", message: /out of memory/ });
});

Deno.test("doors: a software adapter is opened only when asked for", async () => {
  const [any, real] = [await openWebgpu({ software: true }), await openWebgpu()];
  if (isRight(any) && /llvmpipe|swiftshader/i.test(any.right.description)) {
    ok(isLeft(real));
    match(real.left.message, /only adapter is software .*: ask for it by name/);
  }
  for (const opened of [any, real]) if (isRight(opened)) opened.right.close();
});

Deno.test("doors: an index beyond its table is refused, naming the input and both numbers", async () => {
  const program = await compile({
    y: gather(input("table", [4, 2], "f32"), input("at", ["n"], "u32")),
  });
  await rejects(
    program.values({ table: Array.from({ length: 8 }, (_, i) => i), at: [0, 9] }),
    { name: "InputError", message: 'input "at": value 1 is 9, the table has 4 rows' },
  );
});
