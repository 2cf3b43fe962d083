/**
 * A window whose codec is learnt as tokens come: what its fixed parts (a basis, a mean) are made of is a sum
 * over tokens, which is held and added to; the parts are made anew by a rule.
 *
 * ```text
 * a group of tokens leaves the window:   sums += those of the group
 *   the first one, or `every` tokens after the parts were made (and these lost more than `share`):
 *                                        parts = made of the sums: of all tokens so far
 *                                        what is stored is decoded by the old parts, encoded by the new ones
 *   then the group is encoded by the parts as they are
 * ```
 *
 * So the cache depends on the tokens alone, not on how they were split. Between two times later tokens are
 * projected onto what is stored. `share` is ‖x − x̂‖² / ‖x‖² of the tokens since, by the parts they were stored
 * with: drift, and what codes lose. Turning what is stored rounds it once more; with a rank it keeps what both
 * bases span.
 *
 * Encoded at once (`encode`) the parts are those of all tokens. Bits are those of the window; the sums are the
 * cache's own, d·d numbers of f32 a head for a basis, which do not grow.
 * @module
 */
import { ValueError } from "../core/errors.ts";
import type { Codec } from "./codec.ts";
import { isWindowed, type Window, window, type Windowed } from "./window.ts";

/** When parts are made anew. */
export interface Refresh {
  /** Tokens after which it is asked, whole groups. */
  readonly every: number;
  /** Only if these lost more than so much of their squares; always unless given. */
  readonly share?: number;
}

/** A window that learns, for whoever moves tokens through it. */
export interface Online extends Windowed {
  /** When parts are made anew. */
  readonly refresh: Refresh;
}

/** Does the window learn? */
export const isOnline = (codec: Codec): codec is Online => isWindowed(codec) && "refresh" in codec;

/**
 * A window whose codec is made anew every so many tokens, of all tokens so far. The codec behind it says what
 * it learns from: `pca` and `center` do, and what is made of them by `on`, `perHead` and `joinHeads`.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { f16, on, online, openCache, pca, perHead } from "kvfold";
 * import { pipe } from "kvfold/fp";
 * const axes = perHead(pipe(pca({ rank: 2 }), on("coefficients", f16), on("basis", f16)));
 * const cache = await openCache(online({ group: 8, every: 16 }, axes), [1, 8]);
 * // Two directions, which change after 40 tokens: the basis follows.
 * const x = Float64Array.from({ length: 80 * 8 }, (_, i) => {
 *   const [t, d] = [Math.floor(i / 8), i % 8];
 *   return (t < 40 ? d : d * d) * Math.sin(t) + (t < 40 ? 1 : 0) * Math.cos(t);
 * });
 * for (let t = 0; t < 80; t++) await cache.append(x.subarray(8 * t, 8 * (t + 1)));
 * ok(cache.parts("x")["x.packed.basis.values"].shape.join() === "1,8,2");
 * cache.dispose();
 * ```
 */
export const online = (
  { every, share, ...held }: Window & Refresh,
  codec: Codec,
): Online => {
  const around = window(held, codec);
  const { group } = around.held;
  const asked = share === undefined ? `every ${every}` : `every ${every} if over ${share}`;
  const name = `online(${asked}, ${around.name})`;
  if (!(Number.isInteger(every) && every > 0 && every % group === 0)) {
    throw new ValueError(name, `every ${every} tokens are no whole groups of ${group}`);
  }
  if (share !== undefined && !(share >= 0)) throw new ValueError(name, `share ${share} is below 0`);
  if (codec.learn === undefined) {
    throw new ValueError(name, `${codec.name} does not say what it learns from`);
  }
  return { ...around, name, refresh: { every, ...share === undefined ? {} : { share } } };
};
