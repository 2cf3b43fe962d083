/**
 * The roof of a kernel that streams memory: a copy, 16 bytes a lane at a time, from one buffer to another.
 * @module
 */
import { bin, int, load, variable } from "../../compiler/ir/expr.ts";
import { type Arr, type Device, DeviceError, type Kernel, type Recorded } from "../../mod.ts";
import { GROUP } from "../../compiler/ir/stmt.ts";

const LANES = 256;
/** Vectors of four words that a group copies. */
const UNITS = 1024;
const WORDS = 4 * UNITS;

const source: Arr = { name: "in0", elem: "u32", space: "storage", mutable: false, length: 0 };
const target: Arr = { name: "out1", elem: "u32", space: "storage", mutable: true, length: 0 };

const copyKernel = (words: number): Kernel => {
  const group = variable(GROUP, "i32", { lo: 0 });
  const unit = bin("add", bin("mul", group, int(UNITS)), variable("u", "i32", { lo: 0 }));
  const index = bin("mul", unit, int(4));
  return {
    name: "copy",
    skeleton: "map",
    arrays: [source, target],
    shared: [],
    uniforms: [],
    lanes: LANES,
    groups: () => words / WORDS,
    body: [{
      tag: "par",
      name: "u",
      count: int(UNITS),
      body: [{ tag: "store", arr: target, index, value: load(source, index, true) }],
    }],
  };
};

/** A copy that is ready to run. */
export interface Copy {
  readonly work: Recorded;
  /** Bytes that it reads and writes together. */
  readonly moved: number;
  readonly free: () => void;
}

/** A copy of `bytes`, seen to copy. */
export const openCopy = async (device: Device, bytes: number): Promise<Copy> => {
  const words = Math.ceil(bytes / 4 / WORDS) * WORDS;
  const kernel = copyKernel(words);
  const memory = [device.alloc(words), device.alloc(words)];
  const data = Uint32Array.from({ length: words }, (_, i) => Math.imul(i, 0x9e3779b1));
  device.write(memory[0], data);
  const executable = await device.build([{ kernel, slots: [] }]);
  const work = executable.record([{ step: 0, memory, uniforms: [], groups: kernel.groups({}) }]);
  await device.run([work]);
  const [copied] = await device.read([memory[1]]);
  if (copied.some((x, i) => x !== data[i])) throw new DeviceError(device.name, "a copy copies not");
  return {
    work,
    moved: 8 * words,
    free: () => {
      work.free();
      memory.forEach((m) => device.free(m));
    },
  };
};
