/**
 * The meaning as a device: every program is evaluated in f64, nothing is fused. Slow, and right by
 * definition; what other devices compute is compared with it.
 * @module
 */
import { type Either, left, right } from "../../fp.ts";
import { evalAll } from "../../dsl/read/eval.ts";
import { printAll } from "../../dsl/read/print.ts";
import type { Term } from "../../dsl/core/term.ts";
import { bindSizes, type Given, inputsOf, isTensor, shapeIn } from "../bind.ts";
import type { Sizes } from "../../dsl/core/shape.ts";
import { F64 } from "../../dsl/read/machine.ts";
import { type Certify, withBounds } from "../bounds.ts";
import { CompileError, InputError } from "../errors.ts";
import type { Outputs } from "../pipeline.ts";
import type { Program } from "../program.ts";
import { type Bound, recordingOf } from "../recording.ts";
import type { Device, Memory, Recorded } from "./device.ts";
import { fromWords, tensorOn, toWords, upload } from "./tensor.ts";

type Inputs = Readonly<Record<string, Given>>;

interface Held extends Memory {
  readonly data: Uint32Array;
}

interface Evaluation extends Recorded {
  readonly evaluate: () => Promise<void>;
}

/** Memory of the host. */
const host: Device = {
  name: "eval",
  description: "evaluation in f64",
  target: {
    dot16: false,
    exp: true,
    serial: true,
    groupFloats: 0,
    cacheBytes: 0,
    partsPerGroup: 1,
  },
  build: () => Promise.reject(new Error("evaluation runs terms, not kernels")),
  run: async (recorded) => {
    for (const { evaluate } of recorded as readonly Evaluation[]) await evaluate();
  },
  copy: (copies) => {
    const data = (m: Memory): Uint32Array => (m as Held).data;
    for (const c of copies) data(c.to).set(data(c.from).subarray(c.at, c.at + c.words), c.into);
  },
  alloc: (words): Held => ({ words, data: new Uint32Array(words) }),
  write: (memory, data) => (memory as Held).data.set(data),
  read: (memory) => Promise.resolve(memory.map((m) => (m as Held).data.slice())),
  free: () => {},
  close: () => {},
};

/** The device that evaluates. */
export const evalDevice = (): Device => host;

/** A program that evaluates its outputs. f32 results are rounded once, when they are stored. */
export const evalProgram = (
  asked: Outputs,
  certify?: Certify,
): Either<CompileError, Program> => {
  let inputs: ReadonlyMap<string, Term>;
  let outputs = asked;
  try {
    inputs = inputsOf(outputs);
    if (certify !== undefined) outputs = withBounds(outputs, certify, F64).outputs;
  } catch (error) {
    if (error instanceof CompileError) return left(error);
    throw error;
  }
  const checkDevice = (given: Inputs): void => {
    for (const name of inputs.keys()) {
      const value = given[name];
      if (isTensor(value) && value.device !== host) {
        throw new InputError(name, `lies on ${value.device.name}, the program runs on eval`);
      }
    }
  };
  const compute: Program["values"] = async (given, start) => {
    const sizes = bindSizes(inputs, given, start);
    checkDevice(given);
    const values: Record<string, ArrayLike<number>> = {};
    for (const [name, term] of inputs) {
      const value = given[name];
      const shape = shapeIn(term, sizes);
      // Through words, so that a value that has no place in the dtype is refused here too.
      values[name] = isTensor(value)
        ? await value.read()
        : fromWords(term.dtype, shape, toWords(name, term.dtype, shape, value));
    }
    const results = evalAll(Object.values(outputs), { sizes, inputs: values });
    return Object.fromEntries(Object.keys(outputs).map((k, i) => [k, results[i].data]));
  };
  const bind = (given: Inputs, start?: Sizes): Bound => {
    const sizes = bindSizes(inputs, given, start);
    checkDevice(given);
    const read = Object.fromEntries(
      [...inputs].map(([name, term]) => {
        const value = given[name];
        return [
          name,
          isTensor(value) ? value : upload(host, name, term.dtype, shapeIn(term, sizes), value),
        ];
      }),
    );
    const made = Object.fromEntries(
      Object.entries(outputs).map(([name, term]) => [
        name,
        tensorOn(host, term.dtype, shapeIn(term, sizes)),
      ]),
    );
    const evaluate = async (): Promise<void> => {
      const values = await compute(read, start);
      for (const [name, tensor] of Object.entries(made)) {
        host.write(tensor.memory, toWords(name, tensor.dtype, tensor.shape, values[name]));
      }
    };
    const work: Evaluation = { evaluate, free: () => {} };
    return { device: host, inputs: read, outputs: made, work, release: () => {} };
  };
  return right({
    device: host,
    outputs,
    structure: { kernels: [], rules: [] },
    values: compute,
    run: async (given, start) => {
      const { outputs: made, work } = bind(given, start);
      await host.run([work]);
      return made;
    },
    record: (given, start) => recordingOf(bind(given, start)),
    bytesMoved: () => 0,
    text: "",
    explain: () => `== terms ==\n${printAll(Object.values(outputs))}`,
  });
};
