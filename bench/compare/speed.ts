/**
 * How fast a scheme attends: one decode step on a long cache, all entries in turn, against f32 in the same
 * run. The first layer's codecs, straight from the stored parts, default schedule, WebAssembly, one thread.
 * @module
 */
import { attend, compile, input, kept as keptOf, SALIENCE, type Tensor } from "../../mod.ts";
import {
  asQuery,
  cacheShape,
  counts,
  release,
  type Sizes,
  step,
  store,
  type Stored,
} from "../caches.ts";
import { type Case, compare } from "../harness.ts";
import { BASE, type Entry } from "./entries.ts";

/** What a decode step of an entry is. */
export interface Speed {
  /** Fastest step, in milliseconds. */
  readonly ms: number;
  /** Median over rounds of the time of f32 over this one. */
  readonly speedup: number;
  /** Bytes that a step moves. */
  readonly moved: number;
  readonly kernels: number;
}

/** A decode step of each entry on `tokens` tokens. */
export const speeds = async (
  entries: readonly Entry[],
  sizes: Sizes,
  tokens: number,
  rounds: number,
): Promise<readonly Speed[]> => {
  const { k, v, query } = step(sizes, tokens);
  const q = asQuery(sizes, query);
  const beside = { [SALIENCE]: counts(sizes, tokens) };
  const kept = new Set<Tensor>([q, k, v, ...Object.values(beside)]);
  const keep = (parts: Stored): Stored => {
    Object.values(parts).forEach((t) => kept.add(t));
    return parts;
  };
  const shape = cacheShape(sizes);
  const programs = [];
  const cases: Case[] = [];
  for (const { name, held } of [BASE, ...entries]) {
    const { k: keys, v: values } = held(0);
    const program = await compile({
      out: attend({
        q: input("q", [sizes.kv, sizes.group, 1, sizes.dim], "f32"),
        k: keptOf(keys, "k", shape),
        v: keptOf(values, "v", shape),
      }),
    });
    const inputs = {
      q,
      ...keep(await store({ name, codec: keys }, sizes, "k", k, beside)),
      ...keep(await store({ name, codec: values }, sizes, "v", v, beside)),
    };
    programs.push(program);
    cases.push({ name, run: async () => release(await program.run(inputs, { tokens })) });
  }
  const timings = await compare(cases, { rounds, warmMs: 60 });
  kept.forEach((t) => t.dispose());
  return programs.map((program, i) => ({
    ms: timings[i]!.best,
    speedup: timings[i]!.speedup,
    moved: program.bytesMoved({ tokens }),
    kernels: program.structure.kernels.length,
  })).slice(1);
};
