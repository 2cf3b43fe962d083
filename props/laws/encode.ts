/**
 * Laws of encoding on a device. What a device stored is held to f64 one part at a time, each given what
 * the device itself made before it: factors of routines (which have laws of their own) and stored scales.
 * @module
 */
import { bitsOf, type Codec } from "../../dsl/codec/codec.ts";
import { codecBound } from "../../dsl/codec/bound.ts";
import { input } from "../../dsl/core/build.ts";
import { DTYPES, isPacked } from "../../dsl/core/dtype.ts";
import { sizeOf, type Sizes } from "../../dsl/core/shape.ts";
import { type Dim, exchanged, type Shape, type Term, topological } from "../../dsl/core/term.ts";
import { nearestIn } from "../../dsl/quantize/grid.ts";
import { evalAll } from "../../dsl/read/eval.ts";
import { F32, F64, gamma } from "../../dsl/read/machine.ts";
import { rounding } from "../../dsl/read/rounding.ts";
import { norm, U } from "./codec.ts";
import { householder, jacobi } from "./routines.ts";

/** A codec at a shape, and what a program has to give so that its parts can be checked. */
export interface Encoding {
  readonly codec: Codec;
  readonly shape: Shape;
  readonly x: Term;
  /** Stored parts by name. */
  readonly parts: Readonly<Record<string, Term>>;
  /** Results of the routines behind the parts, by a name of ours. */
  readonly routines: Readonly<Record<string, Term>>;
}

/** The encoding of an input `x`. */
export const encodingOf = (codec: Codec, shape: Shape): Encoding => {
  const x = input("x", shape, "f32");
  const parts = codec.encode(x);
  const found = topological(Object.values(parts)).filter((t) => t.tag === "routine");
  const routines = Object.fromEntries(found.map((t, i) => [`routine ${i}`, t]));
  return { codec, shape, x, parts, routines };
};

/** What a device made of it. */
export interface Ran {
  /** Terms the program computes, by name: parts and routines after the rules. */
  readonly rewritten: Readonly<Record<string, Term>>;
  /** What came back. */
  readonly values: Readonly<Record<string, ArrayLike<number>>>;
  readonly x: ArrayLike<number>;
  readonly sizes: Sizes;
}

/** The term as a function of what was made before it: every other term of `made` is an input. */
const given = (term: Term, made: Readonly<Record<string, Term>>): Term => {
  const others = Object.entries(made).filter(([, t]) => t !== term && t.tag !== "input");
  const inputs = others.map(([name, t]): [Term, Term] => [t, input(name, t.shape, t.dtype)]);
  return exchanged(term, new Map(inputs));
};

const madeBefore = (
  part: string,
  terms: Readonly<Record<string, Term>>,
): Readonly<Record<string, Term>> =>
  Object.fromEntries(
    Object.entries(terms).filter(([name, t]) => name !== part && !isPacked(t.dtype)),
  );

/** Is a code which of some points of a plane is nearest? Those beside each other have any numbers. */
const choosesPoint = (part: Term): boolean =>
  part.tag === "cast" && nearestIn(part.args[0]) !== undefined;

/**
 * The first part that is off, in words; nothing if all are as they should be. A number is within the
 * rounding of f32. A code is the f64 code, or another that the number before rounding reaches within its
 * own rounding: the one beside it, where what is quantized is the input itself and codes are in order.
 */
export const partBroken = ({ parts, routines }: Encoding, ran: Ran): string | undefined => {
  const env = { sizes: ran.sizes, inputs: { ...ran.values, x: ran.x } };
  const meant = { ...parts, ...routines };
  for (const [name, part] of Object.entries(parts)) {
    const after = ran.rewritten[name];
    const [exact] = rounding([given(part, madeBefore(name, meant))], env, F64);
    const [loose] = rounding([given(after, madeBefore(name, ran.rewritten))], env, F32);
    const device = ran.values[name];
    const direct = !choosesPoint(part) &&
      topological([part]).every((t) => t.tag !== "contract" && t.tag !== "routine");
    const most = isPacked(part.dtype) && direct ? 1 : Infinity;
    for (let i = 0; i < device.length; i++) {
      const allowed = exact.error[i] + loose.error[i];
      const limit = Math.min(allowed, most);
      const off = Math.abs(device[i] - exact.value.data[i]);
      if (!(off <= limit)) {
        return `${name}[${i}] is ${device[i]}, not ${exact.value.data[i]} ± ${limit}`;
      }
    }
  }
};

/**
 * What a code may be off, relative to half a step: the quotient before rounding is up to twice the
 * largest code, and is off by a quotient and by the difference and the two reads that made it.
 */
const RELATIVE = 4 * DTYPES.u8.max * (F32.div + 4 * F32.u);

/**
 * What the arithmetic of products and routines may move, as a share of ‖x‖. Every factor is orthogonal
 * but for a weight that another factor takes back, so shares add up.
 */
const shareOf = (parts: Readonly<Record<string, Term>>, sizes: Sizes): number => {
  const size = (d: Dim): number => sizeOf(d, sizes);
  const made = topological(Object.values(parts));
  const routines = new Set(made.flatMap((t) => t.tag === "routine" ? [t.args[0]] : []));
  const ofRoutine = [...routines].map((a) => {
    const [rows, cols] = a.shape.slice(-2).map(size);
    return jacobi(rows, cols, F32) + householder(rows, cols, F32);
  });
  const ofProduct = made.map((t) => {
    if (t.tag !== "contract") return 0;
    const gone = t.labels.args[0].flatMap((l, i) =>
      t.labels.out.includes(l) ? [] : [size(t.args[0].shape[i])]
    );
    const terms = gone.reduce((n, d) => n * d, 1);
    return Math.sqrt(terms) * gamma(F32, terms + 8);
  });
  // Differences and quotients that are stored as they are: what is left of a mean, a direction.
  const ofStored = Object.values(parts).map((t) =>
    t.dtype === "f32" && t.tag === "map" ? gamma(F32, 8) : 0
  );
  return [...ofRoutine, ...ofProduct, ...ofStored].reduce((a, b) => a + b, 0);
};

/** |x − decode(parts)| ≤ bound and rounding, both for the parts as stored; factors are the device's. */
export const boundBroken = (
  { codec, shape, x, parts, routines }: Encoding,
  ran: Ran,
): string | undefined => {
  const env = { sizes: ran.sizes, inputs: { ...ran.values, x: ran.x } };
  const inputs = Object.fromEntries(
    Object.entries(parts).map(([name, t]) => [name, input(name, t.shape, t.dtype)]),
  );
  // Factors are the device's, also where they are of what is left after parts that were stored.
  const stored = new Map(Object.entries(parts).map(([name, t]): [Term, Term] => [t, inputs[name]]));
  const factors = new Map(
    Object.entries(routines).flatMap(([name, t]) => {
      const factor = input(name, t.shape, t.dtype);
      return [t, exchanged(t, stored)].map((of): [Term, Term] => [of, factor]);
    }),
  );
  const [decoded, bound] = evalAll([
    codec.decode(inputs, shape),
    exchanged(codecBound(codec, x, inputs), factors),
  ], env);
  // F32.tiny: a device may flush what it reads and what it makes.
  const slack = shareOf(parts, ran.sizes) * norm(ran.x) + 4 * F32.tiny;
  for (let i = 0; i < ran.x.length; i++) {
    const limit = bound.data[i] * (1 + RELATIVE) + slack;
    const off = Math.abs(ran.x[i] - decoded.data[i]);
    if (!(off <= limit)) {
      return `x[${i}] = ${ran.x[i]} came back ${decoded.data[i]}, limit ${limit}`;
    }
  }
};

/** Bits a value × values = 8 × bytes on the device. */
export const bytesLaw = (
  { codec, shape }: Encoding,
  bytes: number,
  count: number,
  sizes: Sizes,
): boolean => Math.abs(bitsOf(codec, shape, sizes) * count - 8 * bytes) <= 8 * bytes * 4 * U;

/** Stored parts of tokens one after the other: each part is joined along its axis of tokens. */
export const joinedParts = (
  codec: Codec,
  shape: Shape,
  pieces: readonly {
    readonly tokens: number;
    readonly parts: Readonly<Record<string, Float64Array>>;
  }[],
): Record<string, number[]> => {
  const joined: Record<string, number[]> = {};
  for (const [name, part] of Object.entries(codec.encode(input("x", shape, "f32")))) {
    const axis = part.shape.findIndex((d) => typeof d === "string");
    const known = (dims: Shape): number => dims.reduce<number>((n, d) => n * Number(d), 1);
    const [outer, inner] = [known(part.shape.slice(0, axis)), known(part.shape.slice(axis + 1))];
    joined[name] = Array.from(
      { length: outer },
      (_, o) =>
        pieces.flatMap(({ tokens, parts }) => {
          const run = tokens * inner;
          return Array.from(parts[name].subarray(o * run, (o + 1) * run));
        }),
    ).flat();
  }
  return joined;
};
