/**
 * Codecs that take tokens as they come, and ways to cut tokens.
 * @module
 */
import { ValueError } from "../dsl/core/errors.ts";
import { openCache } from "../mod.ts";
import { CODECS } from "./codecs.ts";

/** Names of the codecs that grow; why others do not is a `ValueError` that names them. */
export const GROWING: readonly string[] = (await Promise.all(
  Object.entries(CODECS).filter(([, { streams }]) => streams).map(async ([name, given]) => {
    try {
      const cache = await openCache(given.codec, [1, given.channels[0]], { device: "eval" });
      cache.dispose();
      return [name];
    } catch (error) {
      if (error instanceof ValueError && error.operation === "growing cache") return [];
      throw error;
    }
  }),
)).flat();

/** Lengths of the runs between some places of so many tokens. */
export const splitsOf = (tokens: number, cuts: readonly number[]): number[] => {
  const at = [...new Set(cuts.map((c) => c % tokens)), 0, tokens].sort((a, b) => a - b);
  return at.slice(1).map((end, i) => end - at[i]).filter((n) => n > 0);
};
