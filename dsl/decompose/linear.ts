/**
 * A map of the channels that was found beforehand: y = x·A, and back x = y·B.
 *
 * ```text
 * before: channels that rise and fall together      after: coordinates in a basis that calibration gave
 * ```
 *
 * A is [channels, r] and B [r, channels], one pair for all heads or one a head. With B = A⁻¹ nothing is
 * lost; fewer coordinates than channels leave out what B cannot give back. Both are constants of the
 * program, not of the cache: they cost no bits, B is folded into the query for K and into the output for V.
 * @module
 */
import { contractBy, reshape, table } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { axesOf } from "./labelled.ts";

/** Rows of numbers. */
export type Matrix = readonly (readonly number[])[];

/** What {@link linear} is asked for. */
export interface Linear {
  /** What the table is called in names of codecs. */
  readonly name: string;
  /** Channels to coordinates: one matrix, or one a head (the first axis). */
  readonly to: readonly Matrix[];
  /** Coordinates to channels, as many matrices. */
  readonly back: readonly Matrix[];
}

const sizesOf = (name: string, matrices: readonly Matrix[]): readonly [number, number] => {
  const [rows, columns] = [matrices[0]?.length ?? 0, matrices[0]?.[0]?.length ?? 0];
  const same = matrices.every((m) => m.length === rows && m.every((r) => r.length === columns));
  if (rows > 0 && columns > 0 && same) return [rows, columns];
  throw new ValueError(name, "matrices are none, empty, or of several sizes");
};

/**
 * Coordinates y = x·to in a basis that was found beforehand, and back x̂ = y·back: matrices `[d, r]` and `[r, d]`,
 * one for all heads or one a head. One part, `values` `[…, tokens, r]`; the matrices belong to the program and cost
 * no bits.
 */
export const linear = ({ name: of, to, back }: Linear): Factored => {
  const name = `linear(${of})`;
  const [channels, rank] = sizesOf(name, to);
  const [r, d] = sizesOf(name, back);
  if (r !== rank || d !== channels || back.length !== to.length) {
    throw new ValueError(
      name,
      `${to.length} times ${channels} by ${rank} there, ${back.length} times ${r} by ${d} back`,
    );
  }
  const product = (x: Term, matrices: readonly Matrix[]): Term => {
    const lead = x.shape.slice(0, -1).map((_, i) => `x${i}`);
    const own = matrices.length === 1 ? [] : [lead[0]];
    const shape = [...own.map(() => matrices.length), ...sizesOf(name, matrices)];
    const map = reshape(table(matrices.flat(2)), shape);
    return contractBy(
      { args: [[...lead, "d"], [...own, "d", "e"]], out: [...lead, "e"] },
      x,
      map,
    );
  };
  const checked = (shape: Shape, batch: number): void => {
    const heads = to.length === 1 || (shape.length > 2 && shape[0] === to.length);
    if (axesOf(name, shape, batch).channels === channels && heads) return;
    throw new ShapeError(
      name,
      `is of ${to.length} times ${channels} channels, got ${shapeText(shape)}`,
    );
  };
  return {
    name,
    encode: (x, batch = 0) => {
      checked(x.shape, batch);
      return { [VALUES]: product(x, to) };
    },
    decode: (parts, shape, batch = 0) => {
      checked(shape, batch);
      return product(parts[VALUES], back);
    },
    partShapes: (shape) => ({ [VALUES]: [...shape.slice(0, -1), rank] }),
  };
};
