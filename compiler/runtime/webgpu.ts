/**
 * WebGPU, of the runtime or of a package (`runtime/gpu.ts`). A software or null adapter is opened only
 * when asked for by name.
 * Every module and pipeline is created inside an error scope, and the device listens for uncaptured
 * errors: a validation error, a lost device or too little memory is an error that says so.
 * @module
 */
import { type Either, left, right } from "../../fp.ts";
import { emitWgsl } from "../emit/wgsl.ts";
import { DeviceError } from "../errors.ts";
import type { Step, Target } from "../kernel.ts";
import type { Copy, Device, Executable, Memory, Recorded } from "./device.ts";
import { COMPUTE, findGpu, isSoftware, MAP_READ, scoped, USAGE } from "./gpu.ts";
import { timedOn } from "./gpu_clock.ts";
import { type GpuMemory, recordOn, runOn } from "./gpu_record.ts";

/** How to open the device. */
export interface GpuOptions {
  /** Accept a software adapter (llvmpipe, SwiftShader, WARP). */
  readonly software?: boolean;
}

/** A device of WebGPU. */
export interface WebgpuDevice extends Device {
  /** Is nothing but the processor behind it? */
  readonly software: boolean;
  /**
   * Runs what was recorded, in order, `times` over in one pass, and returns the nanoseconds that the
   * pass took by the device's own clock. Not there where the device has no timestamps.
   */
  readonly timed?: (recorded: readonly Recorded[], times: number) => Promise<number>;
}

const wanted = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
] as const;

/** Bytes of group memory that a device is asked for: more would leave room for few groups at once. */
const GROUP_BYTES = 32768;

/** The feature of devices that say when a pass began and ended. */
const CLOCK = "timestamp-query";

/** No 16-bit integer products in WGSL. */
const targetOf = (groupBytes: number): Target => ({
  dot16: false,
  exp: true,
  serial: false,
  groupFloats: Math.min(groupBytes, GROUP_BYTES) / 4,
  cacheBytes: 0,
  partsPerGroup: 1,
});

/** The target of a device that has what WebGPU promises everywhere: 16 KiB of group memory. */
export const WEBGPU_TARGET: Target = targetOf(16384);

/** Arrays in order, then the uniforms. */
const layoutOf = (device: GPUDevice, { kernel }: Step): GPUBindGroupLayout =>
  device.createBindGroupLayout({
    label: kernel.name,
    entries: [
      ...kernel.arrays.map((a) => a.mutable ? "storage" as const : "read-only-storage" as const),
      "uniform" as const,
    ]
      .map((type, binding) => ({ binding, visibility: COMPUTE, buffer: { type } })),
  });

const openDevice = async ({ software = false }: GpuOptions): Promise<WebgpuDevice> => {
  const adapter = await (await findGpu()).requestAdapter();
  if (adapter === null) throw new DeviceError("webgpu", "no adapter was found");
  const { description, vendor } = adapter.info;
  if (!software && isSoftware(adapter)) {
    throw new DeviceError(
      "webgpu",
      `the only adapter is software (${description || "null"}): ask for it by name`,
    );
  }
  const limits = {
    ...Object.fromEntries(wanted.map((k) => [k, adapter.limits[k]])),
    maxComputeWorkgroupStorageSize: Math.min(
      adapter.limits.maxComputeWorkgroupStorageSize,
      GROUP_BYTES,
    ),
  };
  const clock = adapter.features.has(CLOCK);
  const device = await adapter.requestDevice({
    requiredLimits: limits,
    requiredFeatures: clock ? [CLOCK] : [],
  });
  let broken: string | undefined;
  device.addEventListener(
    "uncapturederror",
    (e) => broken ??= (e as GPUUncapturedErrorEvent).error.message,
  );
  device.lost.then((info) => {
    if (info.reason !== "destroyed") broken ??= `device lost: ${info.message}`;
  });
  const intact = (): void => {
    if (broken !== undefined) throw new DeviceError("webgpu", broken);
  };

  const alloc = (words: number): GpuMemory => {
    intact();
    const size = Math.max(16, Math.ceil(words / 4) * 16);
    if (size > device.limits.maxStorageBufferBindingSize) {
      throw new DeviceError(
        "webgpu",
        `out of memory: ${size} bytes, a buffer holds ${device.limits.maxStorageBufferBindingSize}`,
      );
    }
    const usage = USAGE.storage | USAGE.copySrc | USAGE.copyDst;
    return { words, buffer: device.createBuffer({ size, usage }) };
  };

  const build = async (steps: readonly Step[]): Promise<Executable> => {
    intact();
    const texts = steps.map((s) => emitWgsl(s.kernel));
    const pipelines: GPUComputePipeline[] = [];
    for (const [i, code] of texts.entries()) {
      const label = steps[i].kernel.name;
      const module = await scoped(device, () => device.createShaderModule({ label, code }));
      if (module.error !== undefined) {
        throw new DeviceError("webgpu", `shader ${label}: ${module.error}`);
      }
      // Explicit, since a layout made from the text forgets arrays that the text does not touch.
      const layout = device.createPipelineLayout({
        bindGroupLayouts: [layoutOf(device, steps[i])],
      });
      const made = await scoped(
        device,
        () =>
          device.createComputePipeline({
            label,
            layout,
            compute: { module: module.value, entryPoint: "main" },
          }),
      );
      if (made.error !== undefined) {
        throw new DeviceError("webgpu", `pipeline ${label}: ${made.error}`);
      }
      pipelines.push(made.value);
    }
    return {
      text: texts.join("\n"),
      record: (launches) => recordOn(device, pipelines, launches),
    };
  };

  const copy = (copies: readonly Copy[]): void => {
    if (copies.length === 0) return;
    const encoder = device.createCommandEncoder();
    for (const { from, at, to, into, words } of copies) {
      const [source, target] = [from, to].map((m) => (m as GpuMemory).buffer);
      encoder.copyBufferToBuffer(source, 4 * at, target, 4 * into, 4 * words);
    }
    device.queue.submit([encoder.finish()]);
  };

  const read = async (blocks: readonly Memory[]): Promise<Uint32Array[]> => {
    intact();
    const sizes = blocks.map((m) => (m as GpuMemory).buffer.size);
    const total = sizes.reduce((a, b) => a + b, 0);
    const staging = device.createBuffer({
      size: total,
      usage: USAGE.mapRead | USAGE.copyDst,
    });
    const encoder = device.createCommandEncoder();
    let at = 0;
    blocks.forEach((m, i) => {
      encoder.copyBufferToBuffer((m as GpuMemory).buffer, 0, staging, at, sizes[i]);
      at += sizes[i];
    });
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(MAP_READ);
    const bytes = staging.getMappedRange().slice(0);
    staging.destroy();
    intact();
    at = 0;
    return blocks.map((m, i) => {
      const words = new Uint32Array(bytes, at, m.words);
      at += sizes[i];
      return words;
    });
  };
  return {
    name: "webgpu",
    software: isSoftware(adapter),
    ...clock && {
      timed: async (recorded, times) => {
        intact();
        const took = await timedOn(device, recorded, times);
        intact();
        return took;
      },
    },
    description: `${description} (vendor ${vendor})`,
    target: targetOf(limits.maxComputeWorkgroupStorageSize),
    build,
    run: async (recorded) => {
      intact();
      await runOn(device, recorded);
      intact();
    },
    alloc,
    write: (m, data) => {
      // Deno 2.9.6 panics where nothing is written: a piece of a concatenation may hold no tokens.
      if (data.length === 0) return;
      device.queue.writeBuffer((m as GpuMemory).buffer, 0, data as Uint32Array<ArrayBuffer>);
    },
    copy,
    read,
    free: (m) => (m as GpuMemory).buffer.destroy(),
    close: () => {
      broken ??= "was closed";
      device.destroy();
    },
  };
};

/** Opens a WebGPU device; why there is none is a value. */
export const openWebgpu = async (
  options: GpuOptions = {},
): Promise<Either<DeviceError, WebgpuDevice>> => {
  try {
    return right(await openDevice(options));
  } catch (error) {
    return left(
      error instanceof DeviceError ? error : new DeviceError("webgpu", (error as Error).message),
    );
  }
};
