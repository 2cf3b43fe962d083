/**
 * Laws of cold tiers: a cache whose blocks were in a file is the one whose blocks never were, bit for bit,
 * and so is attention to it; a file that was changed is refused by name, or changes nothing.
 * @module
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { isLeft } from "../../fp.ts";
import {
  attend,
  cached,
  type Codec,
  compile,
  type Device,
  type GrowingCache,
  input,
  openCache,
  openTier,
  TierError,
  tryRestore,
} from "../../mod.ts";
import type { Given } from "./codec.ts";
import { between } from "./growing.ts";

/** What happens to a cache, in order: so many tokens come, or all blocks leave, or come back. */
export type Event = number | "spill" | "restore";

/** What was done to the bytes of a file. */
export type Damage = (bytes: Uint8Array) => Uint8Array;

const fresh = (): string => `${tmpdir()}/${crypto.randomUUID()}.tier`;

/** Everything that a cache holds, and what attention makes of it. */
const seen = async (cache: GrowingCache, device: Device): Promise<Record<string, Float64Array>> => {
  const all: Record<string, Float64Array> = {};
  const parts = cache.parts("x");
  for (const [name, tensor] of Object.entries(parts)) all[name] = await tensor.read();
  const [heads, , channels] = cache.shape as readonly [number, string, number];
  const x = cached(cache.codec, "x", cache.shape);
  const q = input("q", [heads, 1, 1, channels], "f32");
  const program = await compile({ out: attend({ q, k: x, v: x }) }, { device });
  const query = Float64Array.from({ length: heads * channels }, (_, i) => Math.sin(i));
  return { ...all, out: (await program.values({ q: query, ...parts })).out };
};

const differing = (
  a: Record<string, Float64Array>,
  b: Record<string, Float64Array>,
): string | undefined =>
  Object.keys(a).find((part) =>
    a[part].length !== b[part].length || a[part].some((v, i) => !Object.is(v, b[part][i]))
  );

const growing = async (device: Device, codec: Codec, x: Given, capacity: number) => {
  const [heads, , channels] = x.shape;
  return await openCache(codec, [heads, channels], { device, capacity });
};

/** The part, or `out`, that having been in a file has changed, if there is one. */
export const tierBroken = async (
  device: Device,
  codec: Codec,
  x: Given,
  events: readonly Event[],
  block: number,
  capacity: number,
): Promise<string | undefined> => {
  const [one, other] = [
    await growing(device, codec, x, capacity),
    await growing(device, codec, x, capacity),
  ];
  const tier = await openTier(one, fresh(), { block });
  let at = 0;
  for (const event of events) {
    if (event === "spill") await tier.spill();
    else if (event === "restore") await tier.restore();
    else {
      const next = between(x, at, at += event);
      await one.append(next);
      await other.append(next);
    }
  }
  const { away, tokens } = await tier.spill();
  if (away !== tokens) return `${away} of ${tokens} tokens`;
  await tier.restore();
  const apart = differing(await seen(other, device), await seen(one, device));
  await tier.close();
  [one, other].forEach((cache) => cache.dispose());
  return apart;
};

/** What a changed file broke, if anything: it must be refused, or give what was put into it. */
export const damageBroken = async (
  device: Device,
  codec: Codec,
  x: Given,
  block: number,
  damage: Damage,
): Promise<string | undefined> => {
  const cache = await growing(device, codec, x, 1);
  await cache.append(x.data);
  const before = await seen(cache, device);
  const path = fresh();
  const tier = await openTier(cache, path, { block });
  const { away } = await tier.spill();
  const good = await readFile(path);
  await writeFile(path, damage(Uint8Array.from(good)));
  const found = await tryRestore(tier);
  if (isLeft(found)) {
    const typed = found.left instanceof TierError && found.left.file === path;
    if (!typed || tier.spilled().away !== away) return `${found.left}`;
    await writeFile(path, good);
    await tier.restore();
  }
  const apart = differing(before, await seen(cache, device));
  await tier.close();
  await rm(path, { force: true });
  cache.dispose();
  return apart;
};
