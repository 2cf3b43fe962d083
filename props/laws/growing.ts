/**
 * The law of streams: a cache is the same however its tokens were split, and the same as all of them encoded
 * at once, bit for bit on one device. What has no tokens is fixed by the first ones: then the first split is
 * the same, and nothing is said of all at once.
 * @module
 */
import type { Codec } from "../../dsl/codec/codec.ts";
import { input } from "../../dsl/core/build.ts";
import { compile, type Device, openCache, type Tensor } from "../../mod.ts";
import type { Given } from "./codec.ts";

type Parts = Readonly<Record<string, Float64Array>>;

/** Does the codec fix something by the first tokens? */
export const fixesParts = (codec: Codec, channels: number): boolean =>
  Object.values(codec.encode(input("x", [1, "tokens", channels], "f32")))
    .some((t) => t.shape.every((d) => typeof d === "number"));

/** Tokens `from` to `to` of every head. */
export const between = (
  { shape: [heads, tokens, channels], data }: Given,
  from: number,
  to: number,
) =>
  Array.from({ length: heads }, (_, h) => {
    const head = h * tokens * channels;
    return [...data.subarray(head + from * channels, head + to * channels)];
  }).flat();

const read = async (tensors: Readonly<Record<string, Tensor>>): Promise<Parts> => {
  const parts: Record<string, Float64Array> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    parts[name.replace(/^\./, "")] = await tensor.read();
    tensor.dispose();
  }
  return parts;
};

/** The parts of a cache that took its tokens in some runs. */
const grown = async (
  device: Device,
  codec: Codec,
  x: Given,
  splits: readonly number[],
  capacity: number,
): Promise<{ readonly parts: Parts; readonly codec: Codec }> => {
  const [heads, , channels] = x.shape;
  const cache = await openCache(codec, [heads, channels], { device, capacity });
  let at = 0;
  for (const n of splits) await cache.append(between(x, at, at += n));
  const parts = await read(cache.parts(""));
  cache.dispose();
  return { parts, codec: cache.codec };
};

const differing = (a: Parts, b: Parts): string | undefined =>
  Object.keys(a).find((part) =>
    a[part].length !== b[part].length || a[part].some((v, i) => !Object.is(v, b[part][i]))
  );

/** The part that depends on how tokens were split, if there is one. */
export const splitBroken = async (
  device: Device,
  codec: Codec,
  x: Given,
  [one, other]: readonly [readonly number[], readonly number[]],
  capacity: number,
): Promise<string | undefined> => {
  const [heads, tokens, channels] = x.shape;
  const a = await grown(device, codec, x, one, capacity);
  const b = await grown(device, codec, x, other, 2 * tokens);
  const apart = differing(a.parts, b.parts);
  if (apart !== undefined || fixesParts(codec, channels)) return apart;
  const whole = await compile(
    { ...a.codec.encode(input("x", [heads, "tokens", channels], "f32")) },
    {
      device,
    },
  );
  return differing(a.parts, await read(await whole.run({ x: x.data }, { tokens })));
};
