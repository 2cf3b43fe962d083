/**
 * One process of `deno task fuzz`: does the jobs it is sent, one after the other.
 * @module
 */
/// <reference lib="webworker" />
import { isLeft } from "../../fp.ts";
import { type Device, openWebgpu } from "../../mod.ts";
import { openWasm } from "../../compiler/runtime/wasm.ts";
import { CLAIM_CLIMBS, CLIMBS } from "../climbs.ts";
import { type Batch, runBatch, type Seen } from "./programs.ts";

/** Devices that programs are run on. */
export const DEVICES = ["wasm", "webgpu-software"] as const;

/** What a worker is asked. */
export type Job =
  | { readonly mode: "programs"; readonly device: typeof DEVICES[number]; readonly batch: Batch }
  | {
    readonly mode: "climb";
    readonly what: string;
    readonly seed: number;
    readonly evaluations: number;
  };

/** What it answers: a batch, or the closest ratio and where that ascent began. */
export type Answer =
  | { readonly mode: "programs"; readonly seen: Seen }
  | { readonly mode: "climb"; readonly ratio: number; readonly text: string };

let opened: Promise<Device> | undefined;

const open = async (name: typeof DEVICES[number]): Promise<Device> => {
  // Fresh memory is NaN here: what nobody wrote is not read unnoticed.
  if (name === "wasm") return openWasm({ poison: true });
  const gpu = await openWebgpu({ software: true });
  if (isLeft(gpu)) throw gpu.left;
  return gpu.right;
};

const answer = async (job: Job): Promise<Answer> => {
  if (job.mode === "climb") {
    return { mode: "climb", ...(CLIMBS[job.what] ?? CLAIM_CLIMBS[job.what])(job) };
  }
  opened ??= open(job.device);
  return { mode: "programs", seen: await runBatch(await opened, job.batch) };
};

self.onmessage = async ({ data }: MessageEvent<Job>): Promise<void> =>
  self.postMessage(await answer(data));
