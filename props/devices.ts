/**
 * Binds a law to every device: the embedded one, with one thread and with two, and WebGPU where an adapter is found, a software one
 * included. Where there is none the test says `SKIPPED`, and fails in CI.
 *
 * llvmpipe, the software adapter of Linux, leaves the nested loops of a lane after 65535 iterations
 * without a word: matrices of the routines are kept below that on WebGPU.
 * @module
 */
import { ok } from "node:assert/strict";
import process from "node:process";
import { isLeft, right } from "../fp.ts";
import { evalDevice } from "../compiler/runtime/eval.ts";
import { openWasm } from "../compiler/runtime/wasm.ts";
import { compile, type Device, openWebgpu, type Outputs, type Program } from "../mod.ts";
import { openTint, tintIsAsked, withTint } from "./tint.ts";

/** Runs of a property on each device. */
export interface Runs {
  readonly wasm: number;
  readonly webgpu: number;
}

const openGpu = async (): ReturnType<typeof openWebgpu> => {
  const opened = await openWebgpu({ software: true });
  return isLeft(opened) || !tintIsAsked()
    ? opened
    : right(withTint(opened.right, await openTint()));
};

let gpu: ReturnType<typeof openWebgpu> | undefined;

/**
 * The WebGPU device of this file of tests. One is enough, and a driver that is opened and closed
 * hundreds of times in a process has been seen to end with a double free.
 */
export const withWebgpu = async (use: (device: Device) => Promise<void>): Promise<void> => {
  const opened = await (gpu ??= openGpu());
  if (isLeft(opened)) {
    console.warn(`SKIPPED: ${opened.left.message}`);
    ok(process.env.CI !== "true", "in CI a missing adapter is a failure");
    return;
  }
  await use(opened.right);
};

/** Fresh memory is NaN here: what nobody wrote is not read unnoticed. */
const poisoned = openWasm({ poison: true });

/** The same with a second thread that works along from the first launch on. */
const withThreads = async (use: (device: Device) => Promise<void>): Promise<void> => {
  const device = openWasm({ poison: true, threads: 2 });
  try {
    await device.start();
    await use(device);
  } finally {
    device.close();
  }
};

/** Threads share out groups and change none: a part of the runs on one thread is enough. */
const SHARE = 5;

/** Every device, open for as long as `use` runs; a new one does not compile until it stands here. */
export const DEVICES: Readonly<
  Record<Device["name"], (use: (device: Device) => Promise<void>) => Promise<void>>
> = {
  eval: (use) => use(evalDevice()),
  wasm: (use) => use(poisoned),
  webgpu: withWebgpu,
};

/** Registers a law once a device that runs kernels. */
export const onDevices = (
  name: string,
  runs: Runs,
  law: (device: Device, runs: number) => Promise<void>,
): void => {
  const share = Math.ceil(runs.wasm / SHARE);
  Deno.test(`wasm, 2 threads: ${name}`, () => withThreads((device) => law(device, share)));
  for (const device of ["wasm", "webgpu"] as const) {
    Deno.test(`${device}: ${name}`, () => DEVICES[device]((opened) => law(opened, runs[device])));
  }
};

/** Programs of one device by key, each compiled once: sizes of a run are no part of a key. */
export type Programs = (key: string, outputs: () => Outputs) => Promise<Program>;

/** An empty store of programs. */
export const programsOn = (device: Device): Programs => {
  const known = new Map<string, Promise<Program>>();
  return (key, outputs) => {
    const old = known.get(key);
    if (old !== undefined) return old;
    const made = compile(outputs(), { device });
    known.set(key, made);
    return made;
  };
};
