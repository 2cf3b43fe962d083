/**
 * What a device is: memory for words, and kernels that run on it.
 * @module
 */
import type { Step, Target } from "../kernel.ts";

/** Names a user may ask for; `auto` takes a real GPU if there is one, else `wasm`;
 * `webgpu-software` accepts a software adapter, which no other name does. */
export type DeviceName = "eval" | "wasm" | "webgpu" | "webgpu-software" | "auto";

/** Memory of a device, in 32-bit words. */
export interface Memory {
  /** Words reserved. */
  readonly words: number;
}

/** Work to do in order: which step, on which memory, with which uniforms. */
export interface Launch {
  /** Number of the kernel. */
  readonly step: number;
  /** Memory behind each array of the kernel. */
  readonly memory: readonly Memory[];
  /** Sizes, in the kernel's order. */
  readonly uniforms: readonly number[];
  /** Groups to run. */
  readonly groups: number;
}

/** Launches that are ready to run, again and again: what a device needs for each is made once. */
export interface Recorded {
  /** Gives back what the device made; the memory of the launches is not its. */
  readonly free: () => void;
}

/** Kernels ready to run. */
export interface Executable {
  /** The generated text, for people. */
  readonly text: string;
  /** Makes launches, in order, ready to run. */
  readonly record: (launches: readonly Launch[]) => Recorded;
}

/** Words to copy from one memory to another one. */
export interface Copy {
  /** What is copied. */
  readonly from: Memory;
  /** The first of its words. */
  readonly at: number;
  /** Where to. */
  readonly to: Memory;
  /** The first word there. */
  readonly into: number;
  /** How many. */
  readonly words: number;
}

/** A device that runs kernels. */
export interface Device {
  /** Which kind of device. */
  readonly name: "eval" | "wasm" | "webgpu";
  /** The adapter or engine behind it. */
  readonly description: string;
  /** What it offers to skeletons. */
  readonly target: Target;
  /** Makes kernels ready to run. */
  readonly build: (steps: readonly Step[]) => Promise<Executable>;
  /** Runs what its executables recorded, in order, in one submission. */
  readonly run: (recorded: readonly Recorded[]) => Promise<void>;
  /** Copies words, in order, after all that was run before. */
  readonly copy: (copies: readonly Copy[]) => void;
  /** Reserves words; their contents are undefined. */
  readonly alloc: (words: number) => Memory;
  /** Writes words from the start of the memory. */
  readonly write: (memory: Memory, data: Uint32Array) => void;
  /** Reads memories back, all at once. */
  readonly read: (memory: readonly Memory[]) => Promise<Uint32Array[]>;
  /** Gives memory back. */
  readonly free: (memory: Memory) => void;
  /** Closes the device. */
  readonly close: () => void;
}
