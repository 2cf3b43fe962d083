/**
 * WebGPU through `navigator.gpu`. A software or null adapter is opened only when asked for by name.
 * Every module and pipeline is created inside an error scope, and the device listens for uncaptured
 * errors: a validation error, a lost device or too little memory is an error that says so.
 * @module
 */
import { type Either, left, right } from "../../fp.ts";
import { emitWgsl } from "../emit/wgsl.ts";
import { DeviceError } from "../errors.ts";
import type { Step, Target } from "../kernel.ts";
import type { Device, Executable, Launch, Memory } from "./device.ts";

interface GpuMemory extends Memory {
  readonly buffer: GPUBuffer;
}

/** How to open the device. */
export interface GpuOptions {
  /** Accept a software adapter (llvmpipe, SwiftShader, WARP). */
  readonly software?: boolean;
}

const SOFTWARE = /llvmpipe|lavapipe|swiftshader|software|basic render|warp/i;

const wanted = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxStorageBuffersPerShaderStage",
] as const;

/** Runs `make` and returns what validation said. */
const scoped = async <A>(
  device: GPUDevice,
  make: () => A,
): Promise<{ value: A; error: string | undefined }> => {
  device.pushErrorScope("validation");
  const value = make();
  const error = await device.popErrorScope();
  return { value, error: error?.message };
};

/** WebGPU's default limit of 16 KiB of group memory; no 16-bit integer products in WGSL. */
export const WEBGPU_TARGET: Target = {
  dot16: false,
  exp: true,
  serial: false,
  groupFloats: 4096,
  cacheBytes: 0,
  partsPerGroup: 1,
};

/** Arrays in order, then the uniforms. */
const layoutOf = (device: GPUDevice, { kernel }: Step): GPUBindGroupLayout =>
  device.createBindGroupLayout({
    label: kernel.name,
    entries: [
      ...kernel.arrays.map((a) => a.mutable ? "storage" as const : "read-only-storage" as const),
      "uniform" as const,
    ]
      .map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } })),
  });

const openDevice = async ({ software = false }: GpuOptions): Promise<Device> => {
  const gpu = globalThis.navigator?.gpu;
  if (gpu === undefined) throw new DeviceError("webgpu", "this runtime has no navigator.gpu");
  const adapter = await gpu.requestAdapter();
  if (adapter === null) throw new DeviceError("webgpu", "no adapter was found");
  const { description, vendor } = adapter.info;
  const fallback = "isFallbackAdapter" in adapter.info && adapter.info.isFallbackAdapter === true;
  if (!software && (fallback || SOFTWARE.test(description))) {
    throw new DeviceError(
      "webgpu",
      `the only adapter is software (${description}): ask for it by name`,
    );
  }
  const limits = Object.fromEntries(wanted.map((k) => [k, adapter.limits[k]]));
  const device = await adapter.requestDevice({ requiredLimits: limits });
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
    const size = Math.max(16, Math.ceil(words / 4) * 16);
    if (size > device.limits.maxStorageBufferBindingSize) {
      throw new DeviceError(
        "webgpu",
        `out of memory: ${size} bytes, a buffer holds ${device.limits.maxStorageBufferBindingSize}`,
      );
    }
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    return { words, buffer: device.createBuffer({ size, usage }) };
  };

  const build = async (steps: readonly Step[]): Promise<Executable> => {
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
    const run = async (launches: readonly Launch[]): Promise<void> => {
      device.pushErrorScope("validation");
      device.pushErrorScope("out-of-memory");
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      const uniforms: GPUBuffer[] = [];
      for (const { step, memory, uniforms: values, groups } of launches) {
        if (groups === 0) continue;
        const args = device.createBuffer({
          size: Math.max(16, Math.ceil((values.length + 1) / 4) * 16),
          usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
        });
        device.queue.writeBuffer(args, 0, Int32Array.from([groups, ...values]));
        uniforms.push(args);
        const buffers = [...memory.map((m) => (m as GpuMemory).buffer), args];
        pass.setPipeline(pipelines[step]);
        pass.setBindGroup(
          0,
          device.createBindGroup({
            layout: pipelines[step].getBindGroupLayout(0),
            entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
          }),
        );
        const width = Math.min(groups, 32768);
        pass.dispatchWorkgroups(width, Math.ceil(groups / width));
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      const memoryError = await device.popErrorScope();
      const error = await device.popErrorScope();
      uniforms.forEach((u) => u.destroy());
      if (memoryError !== null) {
        throw new DeviceError("webgpu", `out of memory: ${memoryError.message}`);
      }
      if (error !== null) throw new DeviceError("webgpu", error.message);
      intact();
    };
    return { text: texts.join("\n"), run };
  };

  const read = async (blocks: readonly Memory[]): Promise<Uint32Array[]> => {
    intact();
    const sizes = blocks.map((m) => (m as GpuMemory).buffer.size);
    const total = sizes.reduce((a, b) => a + b, 0);
    const staging = device.createBuffer({
      size: total,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    const encoder = device.createCommandEncoder();
    let at = 0;
    blocks.forEach((m, i) => {
      encoder.copyBufferToBuffer((m as GpuMemory).buffer, 0, staging, at, sizes[i]);
      at += sizes[i];
    });
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
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
    description: `${description} (vendor ${vendor})`,
    target: WEBGPU_TARGET,
    build,
    alloc,
    write: (m, data) =>
      device.queue.writeBuffer((m as GpuMemory).buffer, 0, data as Uint32Array<ArrayBuffer>),
    read,
    free: (m) => (m as GpuMemory).buffer.destroy(),
    close: () => device.destroy(),
  };
};

/** Opens a WebGPU device; why there is none is a value. */
export const openWebgpu = async (
  options: GpuOptions = {},
): Promise<Either<DeviceError, Device>> => {
  try {
    return right(await openDevice(options));
  } catch (error) {
    return left(
      error instanceof DeviceError ? error : new DeviceError("webgpu", (error as Error).message),
    );
  }
};
