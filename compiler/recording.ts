/**
 * Programs with their memory. A step of a model runs the same kernels on the same memory over and over:
 * recorded once, it is replayed without anything being allocated, bound or compiled, several programs
 * in one submission.
 *
 * ```text
 * run(inputs)       check, allocate, bind, submit, free          every time
 * record(inputs)    check, allocate, bind                        once
 * replay([a, b])    submit                                       every time
 * ```
 * @module
 */
import { InputError } from "./errors.ts";
import type { Device, Recorded } from "./runtime/device.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** A program bound to its inputs and outputs. */
export interface Recording<Name extends string = string> {
  /** The device it runs on. */
  readonly device: Device;
  /** What it reads: write new values to them, or let another recording make them. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** What it makes; contents are undefined until it was replayed. */
  readonly outputs: Readonly<Record<Name, Tensor>>;
  /** The work, for the device; throws where one of its tensors was disposed of. */
  readonly work: () => Recorded;
  /** Runs it on what its inputs hold now. */
  readonly replay: () => Promise<void>;
  /** Gives back its outputs, its scratch memory and the inputs that it was given as numbers. */
  readonly dispose: () => void;
  /** Same as {@link Recording.dispose}, for `using`. */
  readonly [Symbol.dispose]: () => void;
}

/** What a recording is made of. */
export interface Bound {
  readonly device: Device;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Record<string, Tensor>;
  readonly work: Recorded;
  /** Gives back what nobody else holds, but for the outputs. */
  readonly release: () => void;
}

/** A recording of bound work. */
export const recordingOf = ({ device, inputs, outputs, work, release }: Bound): Recording => {
  const tensors = [...Object.values(inputs), ...Object.values(outputs)];
  let alive = true;
  const checked = (): Recorded => {
    // Each says so where it was disposed of.
    tensors.forEach((t) => t.memory);
    return work;
  };
  const dispose = (): void => {
    if (!alive) return;
    alive = false;
    release();
    Object.values(outputs).forEach((t) => t.dispose());
  };
  return {
    device,
    inputs,
    outputs,
    work: checked,
    replay: async () => await device.run([checked()]),
    dispose,
    [Symbol.dispose]: dispose,
  };
};

/**
 * Runs recordings of one device in order: one submission, nothing read back.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { compile, input, map, replay } from "kvfold";
 * const x = input("x", ["n"], "f32");
 * const twice = (await compile({ y: map("mul", x, 2) })).record({ x: [1, 2] });
 * const next = (await compile({ y: map("add", x, 1) })).record({ x: twice.outputs.y });
 * await replay([twice, next]);
 * ok((await next.outputs.y.read()).join() === "3,5");
 * twice.inputs.x.write([10, 20]);
 * await replay([twice, next]);
 * ok((await next.outputs.y.read()).join() === "21,41");
 * ```
 */
export const replay = async (recordings: readonly Recording[]): Promise<void> => {
  if (recordings.length === 0) return;
  const [{ device }] = recordings;
  const other = recordings.find((r) => r.device !== device);
  if (other !== undefined) {
    const which = other.device.name === device.name ? "another " : "";
    throw new InputError(
      "recordings",
      `one lies on ${device.name}, one on ${which}${other.device.name}`,
    );
  }
  await device.run(recordings.map((r) => r.work()));
};
