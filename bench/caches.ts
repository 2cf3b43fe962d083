/**
 * Ways to store a cache, as benchmarks run them: encoded by a compiled program, attended over by
 * another, decoded by a third to check both.
 * @module
 */
import { tensorOn } from "../compiler/runtime/tensor.ts";
import {
  attend,
  cached,
  cast,
  type Codec,
  compile,
  decoquantB,
  type Device,
  f16,
  identity,
  input,
  type Program,
  rtn,
  rtnGrouped,
  SALIENCE,
  type Tensor,
  upload,
  VALUES,
  wasm,
} from "../mod.ts";
import { activations } from "./data.ts";

/** A scheme and what tables call it. */
export interface Named {
  readonly name: string;
  readonly codec: Codec;
}

/** The f32 cache: the baseline of every comparison. */
export const PLAIN: Named = { name: "f32", codec: identity };

/** What is compared with it. */
export const STORED: readonly Named[] = [
  { name: "f16", codec: f16 },
  { name: "rtnGrouped 8", codec: rtnGrouped(8) },
  { name: "rtnGrouped 4", codec: rtnGrouped(4) },
  { name: "rtnGrouped 3", codec: rtnGrouped(3) },
  { name: "rtnGrouped 2", codec: rtnGrouped(2) },
  { name: "rtn 4", codec: rtn(4) },
  { name: "decoquantB 4", codec: decoquantB(4) },
];

/** Sizes of one decode step. */
export interface Sizes {
  /** Key heads. */
  readonly kv: number;
  /** Query heads a key head. */
  readonly group: number;
  /** Channels of a head. */
  readonly dim: number;
}

/** Keys or values of `kv` heads. */
export const cacheShape = ({ kv, dim }: Sizes): [number, "tokens", number] => [kv, "tokens", dim];

/** One step of attention over a stored cache. */
export const attention = ({ codec }: Named, sizes: Sizes): ReturnType<typeof attend> => {
  const shape = cacheShape(sizes);
  return attend({
    q: input("q", [sizes.kv, sizes.group, 1, sizes.dim], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
  });
};

/** Attention of a whole prompt on its own stored cache. */
export const prompted = ({ codec }: Named, sizes: Sizes): ReturnType<typeof attend> => {
  const shape = cacheShape(sizes);
  return attend({
    q: input("q", [sizes.kv, sizes.group, "tokens", sizes.dim], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
    causal: { offset: 0 },
  });
};

/** Stored parts on the device, named as a program wants them. */
export type Stored = Readonly<Record<string, Tensor>>;

const renamed = (prefix: string, parts: Stored): Stored =>
  Object.fromEntries(Object.entries(parts).map(([k, t]) => [`${prefix}.${k}`, t]));

/** Gives tensors back. */
export const release = (tensors: Stored): void =>
  new Set(Object.values(tensors)).forEach((t) => t.dispose());

/** Values on the device. */
export const put = (name: string, shape: readonly number[], data: ArrayLike<number>): Tensor =>
  upload(wasm(), name, "f32", shape, data);

/** Keys, values and a query of one step, the same every time. */
export const step = (
  sizes: Sizes,
  tokens: number,
): { readonly k: Tensor; readonly v: Tensor; readonly query: Float32Array } => {
  const shape = [sizes.kv, tokens, sizes.dim];
  const count = sizes.kv * tokens * sizes.dim;
  const [k, v] = [1, 2].map((seed) => put("x", shape, activations(seed, count, sizes.dim)));
  return { k, v, query: activations(3, sizes.kv * sizes.group * sizes.dim, sizes.dim) };
};

/** A copy of a tensor on another device. */
export const moved = async (tensor: Tensor, device: Device): Promise<Tensor> => {
  const [words] = await tensor.device.read([tensor.memory]);
  const copy = tensorOn(device, tensor.dtype, tensor.shape);
  device.write(copy.memory, words);
  return copy;
};

/** A query on the device. */
export const asQuery = (sizes: Sizes, query: ArrayLike<number>): Tensor =>
  put("q", [sizes.kv, sizes.group, 1, sizes.dim], query);

/** The program that encodes values of one shape. */
export const encoder = ({ codec }: Named, sizes: Sizes): Promise<Program> =>
  compile({ ...codec.encode(input("x", cacheShape(sizes), "f32")) });

/** The program that decodes them again. */
export const decoder = ({ codec }: Named, sizes: Sizes): Promise<Program> =>
  compile({ x: cast(cached(codec, "x", cacheShape(sizes)), "f32") });

/** What tokens count, for codecs that choose among them: nothing in particular. */
export const counts = (sizes: Sizes, tokens: number): Tensor =>
  put(SALIENCE, [sizes.kv, tokens], activations(4, sizes.kv * tokens, 1));

/** A tensor stored under a name, with what else its codec looks at. What `identity` stores is the tensor itself. */
export const store = async (
  way: Named,
  sizes: Sizes,
  name: string,
  tensor: Tensor,
  beside: Stored = {},
): Promise<Stored> =>
  way.codec === identity
    ? { [`${name}.${VALUES}`]: tensor }
    : renamed(name, await (await encoder(way, sizes)).run({ x: tensor, ...beside }));

/** The tensor behind stored parts, as f32 on the device. */
export const restore = async (
  way: Named,
  sizes: Sizes,
  name: string,
  parts: Stored,
): Promise<Tensor> => {
  const mine = Object.entries(parts).map(([k, t]) => [`x${k.slice(name.length)}`, t] as const);
  const { x } = await (await decoder(way, sizes)).run(Object.fromEntries(mine));
  return x;
};
