/**
 * Random signs, then the Hadamard matrix, along the last axis: y = x·D·H with D = diag(±1).
 *
 * ```text
 * before: channels that rise and fall together, or all of one sign      after: none that stands out
 * ```
 *
 * H alone sends a vector of equal values to one channel; with signs that no data knows of, each channel
 * carries a part of everything. D·H is orthogonal: x = y·(D·H)ᵀ. The signs are a function of the seed and
 * of the channel, so they are an expression, not data: they cost no bits, and every device has the same.
 * @module
 */
import { broadcast, iota, map, reshape } from "../core/build.ts";
import { ShapeError, ValueError } from "../core/errors.ts";
import { type Factored, VALUES } from "../codec/codec.ts";
import type { Shape, Term } from "../core/term.ts";
import { channelsOf, signsOf, turned } from "./hadamard.ts";

/** What {@link rotate} is asked for. */
export interface Rotation {
  /** Which signs, 0 … 65535. */
  readonly seed?: number;
}

/** Whole numbers up to this are exact in f32. */
const EXACT = 2 ** 24;

/** Three numbers of 16 bits out of a seed. */
const drawn = (seed: number): readonly number[] => {
  let state = seed + 1;
  return [0, 1, 2].map(() => (state = Math.imul(state, 75) % 65537) & 0xffff);
};

/**
 * Signs of n channels: the parity of some bits of (i + 1)·(a·i + b), as `hadamard` reads it. Products stay
 * below 2^24, so that f32 has them exactly.
 */
export const randomSigns = (n: number, seed: number): Term => {
  const most = Math.floor(EXACT / (n + 1) / (n + 1)) - 1;
  if (most < 8) throw new ShapeError("rotate", `${n} channels are more than signs are made for`);
  const [a, b, mask] = drawn(seed);
  const i = iota([n], 0);
  const slope = 2 * (a % (most >> 1)) + 1;
  const mixed = map("mul", map("add", i, 1), map("add", map("mul", i, slope), b % most));
  return map("hadamard", mixed, 2 * mask + 1);
};

/**
 * Random signs of the channels, then the Hadamard matrix: y = x·D·H, orthogonal, undone by its transpose. One part,
 * `values`, of x's shape; the signs follow from the seed and cost no bits. Channels are a power of two, or it is a
 * `ShapeError`.
 */
export const rotate = ({ seed = 0 }: Rotation = {}): Factored => {
  const name = `rotate(${seed})`;
  if (!(Number.isInteger(seed) && seed >= 0 && seed < 65536)) {
    throw new ValueError("rotate", `seed is ${seed}, not a whole number from 0 to 65535`);
  }
  const turn = (x: Term, shape: Shape, batch: number, back: boolean): Term => {
    const n = channelsOf(name, shape, batch);
    const signs = broadcast(randomSigns(n, seed), [n, n], [back ? 1 : 0]);
    return reshape(turned(x, n, map("mul", signsOf(n), signs)), shape);
  };
  return {
    name,
    encode: (x, batch = 0) => ({ [VALUES]: turn(x, x.shape, batch, false) }),
    decode: (parts, shape, batch = 0) => turn(parts[VALUES], shape, batch, true),
    partShapes: (shape) => ({ [VALUES]: shape }),
  };
};
