/**
 * Launches of a WebGPU device: bind groups and sizes are made once, each run of them only encodes and
 * submits.
 *
 * ```text
 * record(launches)      one buffer of sizes, a bind group a launch      in an error scope
 * run([a, b, …])        one encoder, one pass, one submit               in an error scope the first time
 * ```
 * What goes wrong later (a buffer that was destroyed) reaches the device's listener for errors that no
 * scope took, and with it the next call.
 * @module
 */
import { DeviceError } from "../errors.ts";
import type { Launch, Memory, Recorded } from "./device.ts";
import { USAGE } from "./gpu.ts";

/** Memory of a WebGPU device. */
export interface GpuMemory extends Memory {
  readonly buffer: GPUBuffer;
}

/** One kernel with its memory and sizes bound. */
interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly width: number;
  readonly height: number;
}

interface Dispatches extends Recorded {
  readonly list: readonly Dispatch[];
  /** What making them and running them for the first time said; settled once. */
  said: Promise<void> | undefined;
}

/** Groups along x: a dimension of a dispatch has at most 65535. */
const WIDTH = 32768;

/** Runs `make`; the promise says what validation and memory said of it. */
const watched = <A>(device: GPUDevice, make: () => A): { value: A; said: Promise<void> } => {
  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  const value = make();
  const said = Promise.all([device.popErrorScope(), device.popErrorScope()])
    .then(([memory, wrong]) => {
      if (memory !== null) throw new DeviceError("webgpu", `out of memory: ${memory.message}`);
      if (wrong !== null) throw new DeviceError("webgpu", wrong.message);
    });
  return { value, said };
};

/** Binds launches of pipelines to their memory and sizes. */
export const recordOn = (
  device: GPUDevice,
  pipelines: readonly GPUComputePipeline[],
  launches: readonly Launch[],
): Recorded => {
  const wanted = launches.filter(({ groups }) => groups > 0);
  const words = device.limits.minUniformBufferOffsetAlignment / 4;
  const sizesOf = ({ groups, uniforms }: Launch): readonly number[] => [groups, ...uniforms];
  const spans = wanted.map((l) => Math.ceil(sizesOf(l).length / words) * words);
  const starts = spans.map((_, i) => spans.slice(0, i).reduce((a, b) => a + b, 0));
  const total = spans.reduce((a, b) => a + b, words);
  const { value, said } = watched(device, () => {
    const sizes = new Int32Array(total);
    wanted.forEach((l, i) => sizes.set(sizesOf(l), starts[i]));
    const buffer = device.createBuffer({ size: 4 * total, usage: USAGE.uniform | USAGE.copyDst });
    device.queue.writeBuffer(buffer, 0, sizes);
    const list = wanted.map(({ step, memory, groups }, i): Dispatch => {
      const resources = [
        ...memory.map((m) => ({ buffer: (m as GpuMemory).buffer })),
        { buffer, offset: 4 * starts[i], size: 4 * spans[i] },
      ];
      const width = Math.min(groups, WIDTH);
      return {
        pipeline: pipelines[step],
        group: device.createBindGroup({
          layout: pipelines[step].getBindGroupLayout(0),
          entries: resources.map((resource, binding) => ({ binding, resource })),
        }),
        width,
        height: Math.ceil(groups / width),
      };
    });
    return { list, buffer };
  });
  // Nobody may ever run it: what was said is then nobody's.
  said.catch(() => {});
  return { list: value.list, said, free: () => value.buffer.destroy() } as Dispatches;
};

/** Puts what was recorded into a pass, in order. */
export const encodeOn = (pass: GPUComputePassEncoder, recorded: readonly Recorded[]): void => {
  for (const { list } of recorded as readonly Dispatches[]) {
    for (const { pipeline, group, width, height } of list) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(width, height);
    }
  }
};

/** Runs what was recorded, in order, in one submission. */
export const runOn = async (device: GPUDevice, recorded: readonly Recorded[]): Promise<void> => {
  const all = recorded as readonly Dispatches[];
  const submit = (): void => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    encodeOn(pass, recorded);
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  const fresh = all.filter((r) => r.said !== undefined);
  if (fresh.length === 0) return submit();
  const { said } = watched(device, submit);
  await Promise.all([...fresh.map((r) => r.said), said]);
  fresh.forEach((r) => r.said = undefined);
};
