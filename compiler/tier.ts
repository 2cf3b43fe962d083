/**
 * A cold tier: whole blocks of a cache in a file, compressed by DEFLATE, and brought back word for word.
 *
 * ```text
 * spill():    sealed tokens, a block at a time -> DEFLATE -> file;  their memory is given back
 * append(…)   goes on meanwhile
 * restore():  file -> checked -> memory: all words are what they were, so attention is
 * ```
 *
 * What never changes again is written once: a block that is in the file already is only let go of. The
 * window of the cache (first and newest tokens, in f16) is the hot tier and stays.
 * @module
 */
import { type Either, isLeft, left, right } from "../fp.ts";
import type { GrowingCache } from "./growing.ts";
import { TierError } from "./errors.ts";
import {
  blockOf,
  type Expected,
  headOf,
  readBlock,
  readHead,
  type Refusal,
  sha256,
} from "./runtime/blocks.ts";
import type { PartWords } from "./sealed.ts";

/** How to open a tier. */
export interface TierOptions {
  /** Tokens of a block, rounded up to whole words of the cache; 256 if not given. */
  readonly block?: number;
}

/** What a file of a tier holds. */
export interface Spilled {
  /** Tokens in the file, and those of them that are not in memory. */
  readonly tokens: number;
  /** See {@link Spilled.tokens}. */
  readonly away: number;
  /** Bytes of these tokens as the cache stores them. */
  readonly raw: number;
  /** Bytes that they take in the file, heads and checksums included. */
  readonly bytes: number;
  /** Bits a value in the file: what entropy coding makes of the codec's bits. */
  readonly bits: number;
}

/** A cache's file. One operation at a time. */
export interface Tier {
  /** Puts all whole blocks into the file and gives their memory back. */
  readonly spill: () => Promise<Spilled>;
  /** Brings everything back, or throws why the file was refused (a `TierError`); the cache is then as it was. */
  readonly restore: () => Promise<Spilled>;
  /** What the file holds. */
  readonly spilled: () => Spilled;
  /** Closes and removes the file. What is away is lost with it. */
  readonly close: () => Promise<void>;
}

/** Parts of a block one after the other. */
const joined = (words: PartWords): Uint8Array => {
  const parts = Object.values(words);
  const all = new Uint32Array(parts.reduce((n, p) => n + p.length, 0));
  parts.reduce((at, p) => (all.set(p, at), at + p.length), 0);
  return new Uint8Array(all.buffer);
};

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code;

/**
 * Opens a file that is not there yet for a cache; see the head of the file.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { tmpdir } from "node:os";
 * import { openCache, openTier, rtnGrouped } from "kvfold";
 * const cache = await openCache(rtnGrouped(4), [2, 64]);
 * await cache.append(Float64Array.from({ length: 2 * 300 * 64 }, (_, i) => Math.sin(i * i)));
 * const before = await cache.parts("k")["k.codes"].read();
 * const tier = await openTier(cache, `${tmpdir()}/${crypto.randomUUID()}.tier`);
 * const { tokens, bits } = await tier.spill(); // one block of 256; 44 tokens stay
 * ok(tokens === 256 && bits < 5);
 * await tier.restore();
 * ok((await cache.parts("k")["k.codes"].read()).every((code, i) => code === before[i]));
 * await tier.close();
 * cache.dispose();
 * ```
 */
export const openTier = async (
  cache: GrowingCache,
  path: string,
  { block: asked = 256 }: TierOptions = {},
): Promise<Tier> => {
  const { sealed, shape } = cache;
  if (!(Number.isInteger(asked) && asked > 0)) {
    throw new TierError(path, `a block of ${asked} tokens is no positive integer`);
  }
  const count = Math.ceil(asked / sealed.unit) * sealed.unit;
  const raw = sealed.sizes(count).reduce((n, [, bytes]) => n + bytes, 0);
  const { open, rm } = await import("node:fs/promises");
  const file = await open(path, "wx+").catch((error) => {
    const why = isCode(error, "EEXIST") ? "is there already" : (error as Error).message;
    throw new TierError(path, `cannot be made: ${why}`);
  });
  const kind = `${sealed.kind}, blocks of ${count}`;
  const head = await headOf(kind);
  await file.write(head, 0, head.length, 0);
  let [blocks, end] = [0, head.length];

  const expected = async (): Promise<Expected> => ({
    kind,
    key: await sha256(joined(await sealed.fixed())),
    bytes: raw,
  });
  const readAt = async (at: number, bytes: number): Promise<Uint8Array> => {
    const into = new Uint8Array(bytes);
    const { bytesRead } = await file.read(into, 0, bytes, at);
    return into.subarray(0, bytesRead);
  };
  const values = count * shape.reduce<number>((n, d) => typeof d === "number" ? n * d : n, 1);
  const spilled = (): Spilled => ({
    tokens: blocks * count,
    away: sealed.away(),
    raw: blocks * raw,
    bytes: end - head.length,
    bits: blocks === 0 ? 0 : 8 * (end - head.length) / (blocks * values),
  });
  const spill = async (): Promise<Spilled> => {
    const whole = Math.floor(sealed.tokens() / count);
    const of = await expected();
    for (; blocks < whole; blocks++) {
      const bytes = await blockOf(of, blocks, joined(await sealed.read(blocks * count, count)));
      await file.write(bytes, 0, bytes.length, end);
      end += bytes.length;
    }
    if (sealed.away() < whole * count) sealed.release(whole * count - sealed.away());
    return spilled();
  };
  /** The parts of a block. */
  const partsOf = (bytes: Uint8Array): PartWords => {
    let at = 0;
    return Object.fromEntries(
      sealed.sizes(count).map(([part, size]) => {
        const from = at;
        at += size;
        return [part, new Uint32Array(bytes.slice(from, at).buffer)];
      }),
    );
  };
  /** What is there, or why it was refused. */
  const believed = <A>(found: Either<Refusal, A>): A => {
    if (isLeft(found)) throw new TierError(path, found.left.reason, found.left.block);
    return found.right;
  };
  const restore = async (): Promise<Spilled> => {
    const away = sealed.away() / count;
    if (away === 0) return spilled();
    const of = await expected();
    const found: PartWords[] = [];
    for (let at = believed(await readHead(readAt, of)); found.length < away;) {
      const { bytes, next } = believed(await readBlock(readAt, at, of, found.length));
      found.push(partsOf(bytes));
      at = next;
    }
    sealed.refill(found);
    return spilled();
  };
  return {
    spill,
    restore,
    spilled,
    close: async () => {
      await file.close();
      await rm(path, { force: true });
    },
  };
};

/** Brings everything back, with the error as a value. */
export const tryRestore = async (tier: Tier): Promise<Either<TierError, Spilled>> => {
  try {
    return right(await tier.restore());
  } catch (error) {
    if (error instanceof TierError) return left(error);
    throw error;
  }
};
