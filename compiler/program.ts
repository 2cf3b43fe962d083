/**
 * Compiled programs: the public face of the compiler.
 * @module
 */
import { type Either, left, right } from "../fp.ts";
import { storedWords } from "../dsl/core/layout.ts";
import type { Sizes } from "../dsl/core/dims.ts";
import type { Term } from "../dsl/core/term.ts";
import {
  bindSizes,
  checkIndices,
  checkRoom,
  type Given,
  inputsOf,
  isTensor,
  shapeIn,
} from "./bind.ts";
import type { Certify } from "./bounds.ts";
import { hoist } from "./constants.ts";
import { type CompileError, compileErrorOf, type DeviceError, InputError } from "./errors.ts";
import { bytesMovedBy, explainText, type Structure, structureOf } from "./explain.ts";
import { roomOf, type Skeletons, type Slot, uniformOf } from "./kernel.ts";
import { lower, type Lowered, type Outputs } from "./pipeline.ts";
import { type Bound, type Recording, recordingOf } from "./recording.ts";
import type { Device, Executable, Memory } from "./runtime/device.ts";
import { type Tensor, tensorOn, upload } from "./runtime/tensor.ts";
import { type Chosen, chosen } from "./schedule.ts";

/** A compiled program; one serves every size of its named dims. Its outputs have the names that were given. */
export interface Program<Name extends string = string> {
  /** The device it runs on. */
  readonly device: Device;
  /** Rewritten outputs: what the kernels compute, term for term. */
  readonly outputs: Outputs;
  /** Kernels, buffers and rules. */
  readonly structure: Structure;
  /** Runs; sizes that inputs do not determine are given by name. Outputs stay on the device. */
  readonly run: (
    inputs: Readonly<Record<string, Given>>,
    sizes?: Sizes,
  ) => Promise<Record<Name, Tensor>>;
  /** Runs and reads every output. */
  readonly values: (
    inputs: Readonly<Record<string, Given>>,
    sizes?: Sizes,
  ) => Promise<Record<Name, Float64Array>>;
  /** Binds it to inputs and to outputs of its own, to be run many times ({@link Recording}). */
  readonly record: (inputs: Readonly<Record<string, Given>>, sizes?: Sizes) => Recording<Name>;
  /** Bytes that each kernel reads and writes at most once, for some sizes. */
  readonly bytesMoved: (sizes: Sizes) => number;
  /** The text of its kernels, as the device takes it. */
  readonly text: string;
  /** Every stage as text: schedule, terms, rules, kernels, bytes, generated code. */
  readonly explain: (sizes?: Sizes) => string;
}

const slotKey = (slot: Slot): Term | string => slot.tag === "term" ? slot.term : slot.name;

type Inputs = Readonly<Record<string, Given>>;

/** Checks what is given, and binds lowered steps to it and to fresh memory. */
const binder =
  (lowered: Lowered, inputs: ReadonlyMap<string, Term>, device: Device, executable: Executable) =>
  (given: Inputs, start?: Sizes): Bound => {
    const sizes = bindSizes(inputs, given, start);
    checkIndices(lowered.outputs, given, sizes);
    const memory = new Map<Term | string, Memory>();
    const read: Record<string, Tensor> = {};
    const rooms: Record<string, number> = Object.create(null);
    const results = new Map<Term, Tensor>();
    const uploaded: Tensor[] = [];
    const scratch: Memory[] = [];
    const memoryOf = (slot: Slot, written: boolean): Memory => {
      const key = slotKey(slot);
      if (slot.tag === "term" && written && results.has(slot.term)) {
        return results.get(slot.term)!.memory;
      }
      const known = memory.get(key) ??
        (slot.tag === "term" ? results.get(slot.term)?.memory : undefined);
      if (known !== undefined) return known;
      const words = slot.tag === "term"
        ? storedWords(slot.term.dtype, slot.term.shape, sizes)
        : slot.words(sizes);
      const made = device.alloc(words);
      scratch.push(made);
      memory.set(key, made);
      return made;
    };
    const release = (): void => {
      scratch.forEach((m) => device.free(m));
      uploaded.forEach((t) => t.dispose());
    };
    try {
      for (const [name, term] of inputs) {
        const value = given[name];
        const tensor = isTensor(value)
          ? value
          : upload(device, name, term.dtype, shapeIn(term, sizes), value);
        if (!isTensor(value)) uploaded.push(tensor);
        if (tensor.device !== device) {
          const which = tensor.device.name === device.name ? "another " : "";
          throw new InputError(
            name,
            `lies on ${which}${tensor.device.name}, the program runs on ${device.name}`,
          );
        }
        read[name] = tensor;
        checkRoom(name, term, tensor);
        term.shape.forEach((d, axis) =>
          typeof d === "string" && (rooms[roomOf(name, axis, d)] = tensor.room[axis])
        );
        memory.set(term, tensor.memory);
      }
      for (const term of new Set(Object.values(lowered.outputs))) {
        results.set(term, tensorOn(device, term.dtype, shapeIn(term, sizes)));
      }
      const work = executable.record(lowered.steps.map((s, step) => ({
        step,
        memory: s.slots.map((slot, i) => memoryOf(slot, s.kernel.arrays[i].mutable)),
        uniforms: s.kernel.uniforms.map((u) => rooms[u] ?? uniformOf(u, sizes)),
        groups: s.kernel.groups(sizes),
      })));
      const outputs = Object.fromEntries(
        Object.entries(lowered.outputs).map(([k, t]) => [k, results.get(t)!]),
      );
      return {
        device,
        inputs: read,
        outputs,
        work,
        release: () => {
          work.free();
          release();
        },
      };
    } catch (error) {
      results.forEach((t) => t.dispose());
      release();
      throw error;
    }
  };

/** Binds, runs once, and keeps the outputs only. */
const runOnce = async (
  bind: (given: Inputs, start?: Sizes) => Bound,
  given: Inputs,
  start?: Sizes,
): Promise<Record<string, Tensor>> => {
  const { device, outputs, work, release } = bind(given, start);
  try {
    await device.run([work]);
  } catch (error) {
    Object.values(outputs).forEach((t) => t.dispose());
    throw error;
  } finally {
    release();
  }
  return outputs;
};

/**
 * Compiles outputs for a device; a term that no kernel can make is a {@link CompileError}, a kernel that the
 * device refuses a {@link DeviceError}.
 */
export const compileOn = async (
  outputs: Outputs,
  device: Device,
  skeletons: Skeletons,
  choice: Chosen = chosen({}, {}),
  certify?: Certify,
): Promise<Either<CompileError | DeviceError, Program>> => {
  let hoisted: ReturnType<typeof hoist>;
  let lowered: Lowered;
  let inputs: ReadonlyMap<string, Term>;
  let executable: Executable;
  try {
    hoisted = hoist(outputs);
    inputs = inputsOf(hoisted.outputs);
    lowered = lower(hoisted.outputs, skeletons, device.target, choice.schedule, certify);
    executable = await device.build(lowered.steps);
  } catch (error) {
    const refused = compileErrorOf(error);
    if (refused !== undefined) return left(refused);
    throw error;
  }
  const constants = Object.fromEntries(
    [...hoisted.tables].map(([name, values]) => [
      name,
      upload(device, name, "f32", [values.length], values),
    ]),
  );
  const bound = binder(lowered, inputs, device, executable);
  const bind: typeof bound = (given, start) => {
    const made = bound({ ...given, ...constants }, start);
    // What a program brings along is nobody's to write.
    const own = Object.entries(made.inputs).filter(([name]) => !hoisted.tables.has(name));
    return { ...made, inputs: Object.fromEntries(own) };
  };
  const run: Program["run"] = (given, sizes) => runOnce(bind, given, sizes);
  return right({
    device,
    outputs: hoisted.lowered(lowered.outputs),
    structure: structureOf(lowered),
    run,
    record: (given, sizes) => recordingOf(bind(given, sizes)),
    values: async (given, sizes) => {
      const results = await run(given, sizes);
      const values: Record<string, Float64Array> = {};
      try {
        for (const [name, tensor] of Object.entries(results)) values[name] = await tensor.read();
      } finally {
        Object.values(results).forEach((t) => t.dispose());
      }
      return values;
    },
    bytesMoved: (sizes) => bytesMovedBy(lowered.steps, sizes),
    get text() {
      return executable.text;
    },
    explain: (sizes) =>
      explainText(hoisted.outputs, choice, lowered, executable.text, sizes, device.target),
  });
};
