/**
 * What a device is: memory for words, and kernels that run on it.
 * @module
 */
import type { Step } from "../kernel.ts";

/** Names a user may ask for; `auto` takes a real GPU if there is one, else `wasm`. */
export type DeviceName = "eval" | "wasm" | "webgpu" | "auto";

/** Memory of a device, in 32-bit words. */
export interface Memory {
  readonly words: number;
}

/** Work to do in order: which step, on which memory, with which uniforms. */
export interface Launch {
  readonly step: number;
  readonly memory: readonly Memory[];
  readonly uniforms: readonly number[];
  readonly groups: number;
}

/** Kernels ready to run. */
export interface Executable {
  /** The generated text, for people. */
  readonly text: string;
  /** Runs launches in order. */
  readonly run: (launches: readonly Launch[]) => Promise<void>;
}

/** A device that runs kernels. */
export interface Device {
  readonly name: "wasm" | "webgpu";
  /** The adapter or engine behind it. */
  readonly description: string;
  readonly build: (steps: readonly Step[]) => Promise<Executable>;
  readonly alloc: (words: number) => Memory;
  readonly write: (memory: Memory, data: Uint32Array) => void;
  readonly read: (memory: readonly Memory[]) => Promise<Uint32Array[]>;
  readonly free: (memory: Memory) => void;
  readonly close: () => void;
}
