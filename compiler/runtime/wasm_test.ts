/** Examples of the embedded device with several threads, and of how a process with them ends. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import process from "node:process";
import { attend, compile, contract, input, openWasm, upload, wasm } from "../../mod.ts";

const [a, b] = [input("a", ["m", 48], "f32"), input("b", [64, 48], "f32")];
const outputs = { out: contract("m k, n k -> m n", a, b) };
const numbers = (n: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => i * 37 % 101);

Deno.test("openWasm() with threads gives the bits of one thread, in memory that grows", async () => {
  const device = openWasm({ threads: 3 });
  try {
    await device.start();
    equal(device.description, "WebAssembly SIMD, 3 threads");
    const [one, many] = [
      await compile(outputs, { device: wasm() }),
      await compile(outputs, { device }),
    ];
    for (const m of [1, 2, 7, 300, 40_000]) {
      const given = { a: numbers(m * 48), b: numbers(64 * 48) };
      deepEqual((await many.values(given)).out, (await one.values(given)).out);
    }
    const k = input("k", [1, "tokens", 16], "f32");
    const attended = { out: attend({ q: input("q", [1, 1, 1, 16], "f32"), k, v: k }) };
    const [alone, shared] = [
      await compile(attended, { device: wasm() }),
      await compile(attended, { device }),
    ];
    for (const tokens of [1, 3000, 20_000]) {
      const given = { q: numbers(16), k: numbers(tokens * 16) };
      deepEqual((await shared.values(given)).out, (await alone.values(given)).out);
    }
  } finally {
    device.close();
  }
});

Deno.test("openWasm() runs to the end before it returns: what is disposed of then was used", async () => {
  const device = openWasm({ threads: 2, poison: true });
  try {
    await device.start();
    const program = await compile(outputs, { device });
    const given = { a: numbers(500 * 48), b: numbers(64 * 48) };
    const { out: want } = await program.values(given);
    const x = upload(device, "a", "f32", [500, 48], given.a);
    const running = program.run({ a: x, b: given.b });
    x.dispose();
    upload(device, "other", "f32", [500, 48], new Float32Array(500 * 48));
    deepEqual(await (await running).out.read(), want);
  } finally {
    device.close();
  }
});

Deno.test("openWasm() names a count of threads that is none", () => {
  for (const threads of [0, -1, 1.5, NaN, 1e9]) {
    throws(() => openWasm({ threads }), {
      name: "DeviceError",
      message: `wasm: threads are ${threads}, not a count from 1 to 256`,
    });
  }
});

/** Opens a device with a second thread, runs on both, and may leave it open. */
const script = (last: string): string => {
  const door = new URL("../../mod.ts", import.meta.url).href;
  return `import { compile, input, map, openWasm } from ${JSON.stringify(door)};
    const device = openWasm({ threads: 2 });
    await device.start();
    const program = await compile({ y: map("neg", input("x", ["n"], "f32")) }, { device });
    const { y } = await program.values({ x: new Float32Array(50000).fill(2) });
    console.log(y.every((v) => v === -2));
    ${last}`;
};

const has = (command: string): boolean => {
  try {
    return execFileSync(command, ["--version"]).length > 0;
  } catch {
    return false;
  }
};

Deno.test("openWasm(): a process ends by itself, its device closed or not", () => {
  const ways: [string, string[]][] = [[process.execPath, ["eval", "--no-check"]]];
  if (has("bun")) ways.push(["bun", ["-e"]]);
  for (const [command, args] of ways) {
    for (const last of ["", "device.close();", "process.exit(0);"]) {
      const text = execFileSync(command, [...args, script(last)], { timeout: 60_000 }).toString();
      ok(text.startsWith("true"), `${command} ${last}: ${text}`);
    }
  }
});
