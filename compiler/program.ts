/**
 * Compiled programs: the public face of the compiler.
 * @module
 */
import { type Either, left, right } from "../fp.ts";
import { storedBytes, storedWords } from "../dsl/core/layout.ts";
import type { Sizes } from "../dsl/core/shape.ts";
import { type Term, topological } from "../dsl/core/term.ts";
import { printAll } from "../dsl/read/print.ts";
import { CompileError, InputError } from "./errors.ts";
import type { Schedule, Skeletons, Slot, Step } from "./kernel.ts";
import { SCHEDULE } from "./kernel.ts";
import { lower, type Lowered, type Outputs } from "./pipeline.ts";
import type { Device, Executable, Memory } from "./runtime/device.ts";
import { type Tensor, tensorOn, upload } from "./runtime/tensor.ts";

/** Values for an input: a tensor on the device, or numbers in row-major order. */
export type Given = Tensor | ArrayLike<number>;

/** What a program was compiled to, without a device's text. */
export interface Structure {
  /** Kernels in the order they run. */
  readonly kernels: readonly {
    readonly name: string;
    readonly skeleton: string;
    readonly buffers: readonly string[];
  }[];
  /** Names of the rules that fired, in order. */
  readonly rules: readonly string[];
}

/** A compiled program; one serves every size of its named dims. */
export interface Program {
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
  ) => Promise<Record<string, Tensor>>;
  /** Runs and reads every output. */
  readonly values: (
    inputs: Readonly<Record<string, Given>>,
    sizes?: Sizes,
  ) => Promise<Record<string, Float64Array>>;
  /** Bytes that each kernel reads and writes at most once, for some sizes. */
  readonly bytesMoved: (sizes: Sizes) => number;
  /** Every stage as text: terms, rules, kernels, bytes, generated code. */
  readonly explain: (sizes?: Sizes) => string;
}

const isTensor = (given: Given): given is Tensor => "memory" in given;

const inputsOf = (outputs: Outputs): Map<string, Term> => {
  const found = new Map<string, Term>();
  for (const t of topological(Object.values(outputs))) {
    if (t.tag !== "input") continue;
    const old = found.get(t.name);
    if (old !== undefined && old !== t) {
      throw new CompileError(
        "inputs",
        `"${t.name}" is ${old.dtype} ${JSON.stringify(old.shape)} and ${t.dtype} ${
          JSON.stringify(t.shape)
        }`,
      );
    }
    found.set(t.name, t);
  }
  return found;
};

/** Binds named sizes from what is given; throws naming the input and the two sizes that disagree. */
export const bindSizes = (
  inputs: ReadonlyMap<string, Term>,
  given: Readonly<Record<string, Given>>,
  start: Sizes = {},
): Record<string, number> => {
  const sizes: Record<string, number> = { ...start };
  for (const [name, size] of Object.entries(start)) {
    if (!(Number.isInteger(size) && size >= 0)) {
      throw new InputError("sizes", `dim ${name} is ${size}, not a count`);
    }
  }
  const bind = (input: string, name: string, size: number): void => {
    if (sizes[name] !== undefined && sizes[name] !== size) {
      throw new InputError(input, `dim ${name} is ${size}, elsewhere ${sizes[name]}`);
    }
    sizes[name] = size;
  };
  for (const [name, term] of inputs) {
    const value = given[name];
    if (value === undefined) throw new InputError(name, "no value was given");
    if (!isTensor(value)) continue;
    const text = `${value.dtype} ${JSON.stringify(value.shape)}`;
    const wanted = `${term.dtype} ${JSON.stringify(term.shape)}`;
    if (value.dtype !== term.dtype || value.shape.length !== term.shape.length) {
      throw new InputError(name, `is ${text}, the program wants ${wanted}`);
    }
    term.shape.forEach((d, i) => {
      if (typeof d === "string") bind(name, d, value.shape[i]);
      else if (d !== value.shape[i]) {
        throw new InputError(name, `is ${text}, the program wants ${wanted}`);
      }
    });
  }
  // A plain array determines one size that is still free.
  for (const [name, term] of inputs) {
    const value = given[name];
    if (isTensor(value)) continue;
    const free = [
      ...new Set(
        term.shape.filter((d): d is string => typeof d === "string" && sizes[d] === undefined),
      ),
    ];
    const known = term.shape.reduce<number>(
      (n, d) => n * (typeof d === "number" ? d : sizes[d] ?? 1),
      1,
    );
    if (free.length > 1) {
      throw new InputError(name, `sizes ${free.join(" and ")} are not known: give them by name`);
    }
    if (free.length === 1) {
      const size = value.length / known;
      if (!Number.isInteger(size)) {
        throw new InputError(name, `${value.length} values do not fill rows of ${known}`);
      }
      bind(name, free[0], size);
    }
  }
  return sizes;
};

const shapeIn = (term: Term, sizes: Sizes): number[] =>
  term.shape.map((d) => {
    const size = typeof d === "number" ? d : sizes[d];
    if (size === undefined) {
      throw new InputError("sizes", `dim ${d} of ${term.tag} is not known: give it by name`);
    }
    return size;
  });

const slotKey = (slot: Slot): Term | string => slot.tag === "term" ? slot.term : slot.name;

const bytesOf = (slot: Slot, sizes: Sizes): number =>
  slot.tag === "term"
    ? storedBytes(slot.term.dtype, slot.term.shape, sizes)
    : 4 * slot.words(sizes);

const slotText = (slot: Slot): string =>
  slot.tag === "scratch"
    ? `${slot.name.replace(/\d+$/, "")} f32`
    : `${slot.term.tag === "input" ? slot.term.name : slot.term.tag} ${slot.term.dtype} ${
      JSON.stringify(slot.term.shape)
    }`;

const structureOf = ({ steps, trace }: Lowered): Structure => ({
  kernels: steps.map(({ kernel, slots }) => ({
    name: kernel.name,
    skeleton: kernel.skeleton,
    buffers: slots.map((s, i) => `${kernel.arrays[i].mutable ? "write" : "read"} ${slotText(s)}`),
  })),
  rules: trace.map((t) => t.rule),
});

const bytesMovedBy = (steps: readonly Step[], sizes: Sizes): number =>
  steps.reduce((n, s) => n + s.slots.reduce((m, slot) => m + bytesOf(slot, sizes), 0), 0);

const explainText = (
  outputs: Outputs,
  lowered: Lowered,
  text: string,
  sizes: Sizes | undefined,
): string => {
  const kernels = lowered.steps.map(({ kernel, slots }) =>
    [
      `  ${kernel.name}: skeleton ${kernel.skeleton}, ${kernel.arrays.length} buffers`,
      ...slots.map((s, i) =>
        `    ${kernel.arrays[i].name} ${kernel.arrays[i].mutable ? "write" : "read "} ${
          slotText(s)
        }${sizes === undefined ? "" : ` ${bytesOf(s, sizes)} bytes`}`
      ),
    ].join("\n")
  );
  const moved = sizes === undefined
    ? "give sizes to see them"
    : `${bytesMovedBy(lowered.steps, sizes)}`;
  return [
    "== terms ==",
    printAll(Object.values(outputs)),
    "== rules that fired ==",
    ...lowered.trace.map((t) => `  ${t.rule}`),
    "== terms after rules ==",
    printAll(Object.values(lowered.outputs)),
    `== ${lowered.steps.length} kernels ==`,
    ...kernels,
    `== bytes moved: ${moved} ==`,
    "== generated text ==",
    text,
  ].join("\n");
};

/** Runs lowered steps on a device. */
const runner =
  (lowered: Lowered, inputs: ReadonlyMap<string, Term>, device: Device, executable: Executable) =>
  async (
    given: Readonly<Record<string, Given>>,
    start?: Sizes,
  ): Promise<Record<string, Tensor>> => {
    const sizes = bindSizes(inputs, given, start);
    const memory = new Map<Term | string, Memory>();
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
        memory.set(term, tensor.memory);
      }
      for (const term of new Set(Object.values(lowered.outputs))) {
        results.set(term, tensorOn(device, term.dtype, shapeIn(term, sizes)));
      }
      await executable.run(lowered.steps.map((s, step) => ({
        step,
        memory: s.slots.map((slot, i) => memoryOf(slot, s.kernel.arrays[i].mutable)),
        uniforms: s.kernel.uniforms.map((u) => sizes[u]),
        groups: s.kernel.groups(sizes),
      })));
    } catch (error) {
      results.forEach((t) => t.dispose());
      throw error;
    } finally {
      scratch.forEach((m) => device.free(m));
      uploaded.forEach((t) => t.dispose());
    }
    return Object.fromEntries(
      Object.entries(lowered.outputs).map(([k, t]) => [k, results.get(t)!]),
    );
  };

/** Compiles outputs for a device; a term that no kernel can make is a {@link CompileError}. */
export const compileOn = async (
  outputs: Outputs,
  device: Device,
  skeletons: Skeletons,
  schedule: Schedule = SCHEDULE,
): Promise<Either<CompileError, Program>> => {
  let lowered: Lowered;
  let inputs: ReadonlyMap<string, Term>;
  try {
    inputs = inputsOf(outputs);
    lowered = lower(outputs, skeletons, device.target, schedule);
  } catch (error) {
    if (error instanceof CompileError) return left(error);
    throw error;
  }
  const executable = await device.build(lowered.steps);
  const run = runner(lowered, inputs, device, executable);
  return right({
    device,
    outputs: lowered.outputs,
    structure: structureOf(lowered),
    run,
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
    explain: (sizes) => explainText(outputs, lowered, executable.text, sizes),
  });
};
