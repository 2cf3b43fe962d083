/**
 * Tensors on a device: a dtype, a shape, and words laid out as `dsl/core/layout.ts` says.
 * @module
 */
import {
  castTo,
  codesIn,
  type DType,
  DTYPES,
  isFloat8,
  isPacked,
  roundF16,
} from "../../dsl/core/dtype.ts";
import {
  f16Bits,
  f16Value,
  float8Bits,
  float8Value,
  packWords,
  storedWords,
  unpackWords,
} from "../../dsl/core/layout.ts";
import { stridesOf } from "../../dsl/core/shape.ts";
import { DeviceError, InputError } from "../errors.ts";
import type { Device, Memory } from "./device.ts";

/** A tensor that stays on its device until it is read. */
export interface Tensor {
  /** Element type. */
  readonly dtype: DType;
  /** Sizes, outermost first. */
  readonly shape: readonly number[];
  /** Sizes that its memory has room for: the shape, or more along some axis. */
  readonly room: readonly number[];
  /** Its words; throws once it was disposed of. */
  readonly memory: Memory;
  /** Where it lies. */
  readonly device: Device;
  /** Bytes it takes, padding included. */
  readonly bytes: number;
  /** Its values, row-major. One read-back. */
  readonly read: () => Promise<Float64Array>;
  /** Puts new values in their place, row-major; throws where one has no place in the dtype. */
  readonly write: (values: ArrayLike<number>) => void;
  /** Gives its memory back. */
  readonly dispose: () => void;
  /** Same as {@link Tensor.dispose}, for `using`. */
  readonly [Symbol.dispose]: () => void;
}

const countOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
const rowOf = (shape: readonly number[]): number => shape[shape.length - 1] ?? 1;

/** Values as words; throws where a value has no place in the dtype. */
export const toWords = (
  name: string,
  dtype: DType,
  shape: readonly number[],
  data: ArrayLike<number>,
): Uint32Array => {
  const count = countOf(shape);
  if (data.length !== count) {
    throw new InputError(
      name,
      `shape ${JSON.stringify(shape)} holds ${count} values, got ${data.length}`,
    );
  }
  const { integer, min, max } = DTYPES[dtype];
  for (let i = 0; i < count; i++) {
    const x = data[i];
    if (!Number.isFinite(x)) throw new InputError(name, `value ${i} is ${x}, not a finite number`);
    if (integer && !(Number.isInteger(x) && x >= 0 && x <= max)) {
      throw new InputError(name, `value ${i} is ${x}, not a code of ${dtype} (0 to ${max})`);
    }
    if (Math.abs(x) > max) {
      throw new InputError(name, `value ${i} is ${x}, beyond the largest ${dtype} ${max}`);
    }
    if (x < min) {
      throw new InputError(name, `value ${i} is ${x}, below the smallest ${dtype} ${min}`);
    }
  }
  if (dtype === "f32") return new Uint32Array(Float32Array.from(data).buffer);
  if (isPacked(dtype)) return packWords(dtype, rowOf(shape), data);
  if (isFloat8(dtype)) {
    const bytes = Array.from(data, (x) => float8Bits(dtype, castTo(dtype, x)));
    return packWords("u8", rowOf(shape), bytes);
  }
  if (dtype === "u32") return Uint32Array.from(data);
  const words = new Uint32Array(Math.ceil(count / 2));
  for (let i = 0; i < count; i++) words[i >> 1] |= f16Bits(roundF16(data[i])) << 16 * (i & 1);
  return words;
};

/** Words as values. */
export const fromWords = (
  dtype: DType,
  shape: readonly number[],
  words: Uint32Array,
): Float64Array => {
  const count = countOf(shape);
  if (dtype === "f32") {
    return Float64Array.from(new Float32Array(words.buffer, words.byteOffset, count));
  }
  const codes = codesIn(dtype);
  if (codes !== undefined) {
    const values = unpackWords(codes, rowOf(shape), words, count);
    return isFloat8(dtype) ? values.map((byte) => float8Value(dtype, byte)) : values;
  }
  if (dtype === "u32") return Float64Array.from(words.subarray(0, count));
  return Float64Array.from(
    { length: count },
    (_, i) => f16Value(words[i >> 1] >>> 16 * (i & 1) & 0xffff),
  );
};

/** The values of a shape out of those that there is room for. */
const within = (
  shape: readonly number[],
  room: readonly number[],
  values: Float64Array,
): Float64Array => {
  if (room.every((n, i) => n === shape[i])) return values;
  const strides = stridesOf(room);
  return Float64Array.from({ length: countOf(shape) }, (_, i) => {
    let [rest, at] = [i, 0];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += rest % shape[axis] * strides[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return values[at];
  });
};

/** A tensor over memory of a device. */
export const tensorOn = (
  device: Device,
  dtype: DType,
  shape: readonly number[],
  memory?: Memory,
): Tensor => {
  const words = storedWords(dtype, shape, {});
  const held = memory ?? device.alloc(words);
  let alive = true;
  const memoryNow = (): Memory => {
    if (!alive) throw new DeviceError(device.name, "the tensor was disposed of");
    return held;
  };
  const dispose = (): void => {
    if (alive) device.free(held);
    alive = false;
  };
  return {
    dtype,
    shape,
    room: shape,
    get memory() {
      return memoryNow();
    },
    device,
    bytes: words * 4,
    read: async () => fromWords(dtype, shape, (await device.read([memoryNow()]))[0]),
    write: (values) => device.write(memoryNow(), toWords("tensor", dtype, shape, values)),
    dispose,
    [Symbol.dispose]: dispose,
  };
};

/** The first entries of a tensor, in its memory, which stays its own. */
export const viewOf = (tensor: Tensor, shape: readonly number[]): Tensor => {
  const { dtype, room, device, bytes } = tensor;
  const values = async (): Promise<Float64Array> =>
    within(shape, room, fromWords(dtype, room, (await device.read([tensor.memory]))[0]));
  return {
    dtype,
    shape,
    room,
    get memory() {
      return tensor.memory;
    },
    device,
    bytes,
    read: values,
    write: () => {
      throw new InputError("tensor", "is a part of a cache: it is appended to");
    },
    dispose: () => {},
    [Symbol.dispose]: () => {},
  };
};

/** Values put on a device. `name` is what errors call the tensor. */
export const upload = (
  device: Device,
  name: string,
  dtype: DType,
  shape: readonly number[],
  data: ArrayLike<number>,
): Tensor => {
  const words = toWords(name, dtype, shape, data);
  const tensor = tensorOn(device, dtype, shape);
  device.write(tensor.memory, words);
  return tensor;
};
