/**
 * Nanoseconds of a pass, by the clock of a WebGPU device.
 *
 * ```text
 * run once │ pass: begin ▸ (a, b, …) × times ▸ end │ resolve, copy, read      one submission
 * ```
 * Runtimes round timestamps (Dawn to 0.1 ms): ask for so many `times` that a pass is long beside that. A
 * device may set its clock back; such a pass is run again.
 * @module
 */
import { DeviceError } from "../errors.ts";
import type { Recorded } from "./device.ts";
import { MAP_READ, USAGE } from "./gpu.ts";
import { encodeOn, runOn } from "./gpu_record.ts";

/** Begin and end, 64 bits each. */
const BYTES = 16;

/** Passes that are tried before a clock is given up. */
const TRIES = 3;

/** One pass; its end before its begin is a clock that was set back. */
const passOn = async (
  device: GPUDevice,
  recorded: readonly Recorded[],
  times: number,
): Promise<bigint> => {
  const querySet = device.createQuerySet({ type: "timestamp", count: 2 });
  const resolved = device.createBuffer({ size: BYTES, usage: USAGE.queryResolve | USAGE.copySrc });
  const staging = device.createBuffer({ size: BYTES, usage: USAGE.mapRead | USAGE.copyDst });
  try {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
    });
    for (let i = 0; i < times; i++) encodeOn(pass, recorded);
    pass.end();
    encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, BYTES);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(MAP_READ);
    const [begin, end] = new BigUint64Array(staging.getMappedRange());
    return end - begin;
  } finally {
    querySet.destroy();
    resolved.destroy();
    staging.destroy();
  }
};

/** Runs what was recorded once, then `times` over in one pass; returns the nanoseconds of the pass. */
export const timedOn = async (
  device: GPUDevice,
  recorded: readonly Recorded[],
  times: number,
): Promise<number> => {
  // What goes wrong the first time says so here, not in a pass that is timed.
  await runOn(device, recorded);
  for (let i = 0; i < TRIES; i++) {
    const took = await passOn(device, recorded, times);
    if (took >= 0n) return Number(took);
  }
  throw new DeviceError("webgpu", `its timestamps ran backwards in ${TRIES} passes`);
};
