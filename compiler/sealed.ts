/**
 * What a cache that grows never writes again: tokens behind its window, in whole words. It may let go of the
 * first of them and take them back word for word; the newer ones move to the front of less memory.
 *
 * ```text
 * before: codes [heads, 0 … 700]      release(512): codes [heads, 512 … 700]      refill: codes [heads, 0 … 700]
 * ```
 * @module
 */
import { growthOf } from "../dsl/codec/streaming.ts";
import type { Term } from "../dsl/core/term.ts";
import type { Device } from "./runtime/device.ts";
import { type Tensor, tensorOn } from "./runtime/tensor.ts";
import { entriesTo } from "./runtime/tokens.ts";

/** Words of parts by name. */
export type PartWords = Readonly<Record<string, Uint32Array>>;

/** Whole words of the first tokens behind a window; see the head of the file. */
export interface Sealed {
  /** How many tokens there are of them, from the first one behind the sinks. */
  readonly tokens: () => number;
  /** Tokens that fill whole words: places are multiples of it. */
  readonly unit: number;
  /** The first so many are not in memory. */
  readonly away: () => number;
  /** What the cache is: its codec, its shape, and its parts along the tokens. */
  readonly kind: string;
  /** Bytes of every part of so many tokens, in the order in which they are written. */
  readonly sizes: (count: number) => readonly (readonly [part: string, bytes: number])[];
  /** The parts of `count` tokens, of those that are in memory. */
  readonly read: (from: number, count: number) => Promise<PartWords>;
  /** The parts that belong to all tokens: codes mean nothing without them. */
  readonly fixed: () => Promise<PartWords>;
  /** Lets go of the first `count`. */
  readonly release: (count: number) => void;
  /** Takes all that are away back, in blocks, first to last. */
  readonly refill: (blocks: readonly PartWords[]) => void;
}

/** What a cache shows of itself. */
export interface Inside {
  readonly device: Device;
  readonly name: string;
  /** Terms of the parts along the tokens, and names of those that have none. */
  readonly along: ReadonlyMap<string, Term>;
  readonly fixed: readonly string[];
  readonly store: Map<string, Tensor>;
  readonly unit: number;
  readonly tokens: () => number;
  readonly away: () => number;
  /** Says how many are away, and then what there is room for. */
  readonly setAway: (count: number) => void;
  readonly roomFor: (part: string) => number[];
}

/** The door to what is sealed; see the head of the file. */
export const sealedOf = (cache: Inside): Sealed => {
  const { device, along, store } = cache;
  const growth = (part: string) => growthOf(along.get(part)!)!;
  /** A tensor for some tokens of a part. */
  const some = (part: string, count: number): Tensor => {
    const { axis, tokens } = growth(part);
    const { dtype, shape } = along.get(part)!;
    return tensorOn(device, dtype, shape.map((d, i) => i === axis ? count / tokens : d as number));
  };
  const each = [...along.keys()].map((part): [string, number] => {
    const one = some(part, cache.unit);
    one.dispose();
    return [part, one.bytes];
  });
  /** Tokens of a part, put into other memory. */
  const moved = (
    part: string,
    from: number,
    to: Tensor,
    into: number,
    count: number,
    of: Tensor,
  ) => {
    const { axis, tokens } = growth(part);
    return entriesTo(of, from / tokens, to, into / tokens, axis, count / tokens);
  };
  const exchange = (part: string, fill: (next: Tensor, old: Tensor) => void): void => {
    const old = store.get(part)!;
    const next = tensorOn(device, old.dtype, cache.roomFor(part));
    fill(next, old);
    old.dispose();
    store.set(part, next);
  };
  /** Tokens that a part has room for. */
  const roomOf = (part: string, t: Tensor): number =>
    t.shape[growth(part).axis] * growth(part).tokens;
  const words = async (tensors: ReadonlyMap<string, Tensor>): Promise<PartWords> => {
    const read = await device.read([...tensors.values()].map((t) => t.memory));
    return Object.fromEntries(
      [...tensors].map(([part, t], i) => [part, read[i].slice(0, t.bytes / 4)]),
    );
  };
  return {
    tokens: cache.tokens,
    unit: cache.unit,
    away: cache.away,
    kind: JSON.stringify({
      codec: cache.name,
      parts: [...along].map(([part, { dtype, shape }]) => [part, dtype, shape]),
    }),
    sizes: (count) => each.map(([part, bytes]) => [part, bytes * count / cache.unit]),
    read: async (from, count) => {
      const at = from - cache.away();
      const taken = new Map([...along.keys()].map((part) => [part, some(part, count)]));
      device.copy(
        [...taken].flatMap(([part, to]) => moved(part, at, to, 0, count, store.get(part)!)),
      );
      const found = await words(taken);
      taken.forEach((t) => t.dispose());
      return found;
    },
    fixed: () => words(new Map(cache.fixed.map((part) => [part, store.get(part)!]))),
    release: (count) => {
      cache.setAway(cache.away() + count);
      for (const part of along.keys()) {
        exchange(part, (next, old) => {
          const left = Math.min(roomOf(part, old) - count, roomOf(part, next));
          device.copy(moved(part, count, next, 0, left, old));
        });
      }
    },
    refill: (blocks) => {
      const gone = cache.away();
      cache.setAway(0);
      for (const part of along.keys()) {
        exchange(part, (next, old) => {
          const count = gone / blocks.length;
          blocks.forEach((block, i) => {
            const from = some(part, count);
            device.write(from.memory, block[part]);
            device.copy(moved(part, 0, next, i * count, count, from));
            from.dispose();
          });
          const left = Math.min(roomOf(part, old), roomOf(part, next) - gone);
          device.copy(moved(part, 0, next, gone, left, old));
        });
      }
    },
  };
};
