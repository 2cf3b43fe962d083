/**
 * From what a caller gives to sizes: inputs by name, named dims bound once, every disagreement an
 * error that names the input and the two things.
 * @module
 */
import { coveredSize, rootOf, sizeOf, type Sizes } from "../dsl/core/dims.ts";
import { type Dim, type Term, topological } from "../dsl/core/term.ts";
import { CompileError, InputError } from "./errors.ts";
import type { Outputs } from "./pipeline.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** Values for an input: a tensor on the device, or numbers in row-major order. */
export type Given = Tensor | ArrayLike<number>;

/** Is it a tensor on a device? */
export const isTensor = (given: Given): given is Tensor => "memory" in given;

/** How many tokens of `[heads, n, channels]` are given; throws naming the input where they are none. */
export const tokensIn = (
  name: string,
  given: Given,
  heads: number,
  channels: number,
): number => {
  const n = isTensor(given) ? given.shape[1] : given.length / (heads * channels);
  const fits = isTensor(given)
    ? given.dtype === "f32" && given.shape.join() === [heads, n, channels].join()
    : Number.isInteger(n);
  if (fits) return n;
  const what = isTensor(given)
    ? `${given.dtype} ${JSON.stringify(given.shape)}`
    : `${given.length} values`;
  throw new InputError(name, `${what} are no tokens of [${heads}, n, ${channels}]`);
};

/** Why an output is no term, where no type was checked. */
export const refusedOutputs = (outputs: Outputs): CompileError | undefined => {
  const wrong = Object.entries(outputs).find(([, t]) =>
    !(typeof t === "object" && t !== null && "tag" in t && "id" in t)
  );
  return wrong && new CompileError("outputs", `"${wrong[0]}" is ${typeof wrong[1]}, not a term`);
};

/** Inputs below the outputs; one name is one input. */
export const inputsOf = (outputs: Outputs): Map<string, Term> => {
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
  // No size has a name that every object knows, such as `constructor`.
  const sizes: Record<string, number> = Object.assign(Object.create(null), start);
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
  const derived: { input: string; dim: string; size: number }[] = [];
  for (const [name, term] of inputs) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined) throw new InputError(name, "no value was given");
    if (typeof value !== "object" || value === null) {
      throw new InputError(name, `is ${value}, neither a tensor nor an array of numbers`);
    }
    if (!isTensor(value)) continue;
    const text = `${value.dtype} ${JSON.stringify(value.shape)}`;
    const wanted = `${term.dtype} ${JSON.stringify(term.shape)}`;
    if (value.dtype !== term.dtype || value.shape.length !== term.shape.length) {
      throw new InputError(name, `is ${text}, the program wants ${wanted}`);
    }
    term.shape.forEach((d, i) => {
      if (typeof d === "string" && rootOf(d) !== d) {
        derived.push({ input: name, dim: d, size: value.shape[i] });
      } else if (typeof d === "string") bind(name, d, value.shape[i]);
      else if (d !== value.shape[i]) {
        throw new InputError(name, `is ${text}, the program wants ${wanted}`);
      }
    });
  }
  // Runs of a name that cover it say its size.
  const covering = new Map(derived.map(({ dim, size }) => [dim, size]));
  for (const { input, dim } of derived) {
    const root = rootOf(dim);
    const size = sizes[root] ?? coveredSize(root, covering);
    if (size !== undefined) bind(input, root, size);
  }
  for (const { input, dim, size } of derived) {
    const root = rootOf(dim);
    if (sizes[root] === undefined) {
      throw new InputError(input, `size ${root} is not known from ${dim}: give it by name`);
    }
    const follows = sizeOf(dim, sizes);
    if (follows !== size) {
      throw new InputError(
        input,
        `dim ${dim} is ${size}, for ${sizes[root]} ${root} it is ${follows}`,
      );
    }
  }
  // A plain array determines one size that is still free.
  for (const [name, term] of inputs) {
    const value = given[name];
    if (isTensor(value)) continue;
    const isFree = (d: Dim): d is string => typeof d === "string" && sizes[rootOf(d)] === undefined;
    const free = [...new Set(term.shape.filter(isFree))];
    const known = term.shape.reduce<number>((n, d) => n * (isFree(d) ? 1 : sizeOf(d, sizes)), 1);
    if (free.length > 1 || free.some((d) => rootOf(d) !== d)) {
      const names = [...new Set(free.map(rootOf))].join(" and ");
      throw new InputError(name, `sizes ${names} are not known: give them by name`);
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

/** A tensor with room for more is read only where the program says so. */
export const checkRoom = (name: string, term: Term, { shape, room }: Tensor): void => {
  const at = shape.findIndex((size, axis) => axis > 0 && room[axis] !== size);
  if (at < 0 || (term.tag === "input" && term.room)) return;
  throw new InputError(
    name,
    `has room for ${room[at]} along axis ${at}, the program reads ${shape[at]} without a gap`,
  );
};

/** The shape of a term for these sizes. */
export const shapeIn = (term: Term, sizes: Sizes): number[] =>
  term.shape.map((d) => {
    if (typeof d === "string" && sizes[rootOf(d)] === undefined) {
      throw new InputError(
        "sizes",
        `dim ${rootOf(d)} of ${term.tag} is not known: give it by name`,
      );
    }
    return sizeOf(d, sizes);
  });

/** Indices given as numbers are rows of their tables; throws naming the input and the two numbers. */
export const checkIndices = (
  outputs: Outputs,
  given: Readonly<Record<string, Given>>,
  sizes: Sizes,
): void => {
  for (const t of topological(Object.values(outputs))) {
    if (t.tag !== "gather" || t.args[1].tag !== "input") continue;
    const { name } = t.args[1];
    const value = given[name];
    if (isTensor(value)) continue;
    const rows = shapeIn(t.args[0], sizes)[t.batch ?? 0];
    for (let i = 0; i < value.length; i++) {
      if (value[i] >= rows) {
        throw new InputError(name, `value ${i} is ${value[i]}, the table has ${rows} rows`);
      }
    }
  }
};
