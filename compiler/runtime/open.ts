/**
 * Devices by name, each opened once.
 * @module
 */
import { type Either, isLeft, left, right } from "../../fp.ts";
import { DeviceError } from "../errors.ts";
import type { Device, DeviceName } from "./device.ts";
import { evalDevice } from "./eval.ts";
import { openWasm } from "./wasm.ts";
import { openWebgpu } from "./webgpu.ts";

let shared: Device | undefined;

/** The embedded WebAssembly device on one thread, opened once; {@link openWasm} has more threads. */
export const wasm = (): Device => shared ??= openWasm();

type Opened = Promise<Either<DeviceError, Device>>;

const opened = new Map<boolean, Opened>();

/** A WebGPU device, opened once a kind of adapter. */
const webgpu = (software: boolean): Opened => {
  const made = opened.get(software) ?? openWebgpu({ software });
  opened.set(software, made);
  return made;
};

const OPEN: Readonly<Record<DeviceName, () => Opened>> = {
  eval: () => Promise.resolve(right(evalDevice())),
  wasm: () => Promise.resolve(right(wasm())),
  webgpu: () => webgpu(false),
  "webgpu-software": () => webgpu(true),
  auto: async () => {
    const gpu = await webgpu(false);
    return isLeft(gpu) ? right(wasm()) : gpu;
  },
};

/**
 * A device by name. `auto` takes a real GPU if there is one, else the embedded one; a software adapter
 * is taken only as `webgpu-software`.
 */
export const openDevice = (name: DeviceName): Opened =>
  Object.hasOwn(OPEN, name)
    ? OPEN[name]()
    : Promise.resolve(left(new DeviceError(name, `is none of ${Object.keys(OPEN).join(", ")}`)));
