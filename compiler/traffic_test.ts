/** What a GPU's lanes ask of memory for one attention: found from addresses, pinned. */
import { deepEqual } from "node:assert/strict";
import { SKELETONS } from "../kernels/mod.ts";
import { attend, cached, type Codec, decoquantB, input, rtnGrouped } from "../mod.ts";
import { lower } from "./pipeline.ts";
import { WEBGPU_TARGET } from "./runtime/webgpu.ts";
import { type Traffic, trafficOf } from "./traffic.ts";

const shape = [8, "tokens", 64] as const;

/** Traffic of the packed codes of K and of V, for a group of 256 tokens. */
const codesOf = (codec: Codec, group: number): Record<"k" | "v", Traffic> => {
  const out = attend({
    q: input("q", [8, group, 1, 64], "f32"),
    k: cached(codec, "k", shape),
    v: cached(codec, "v", shape),
  });
  const [{ kernel, slots }] = lower({ out }, SKELETONS, WEBGPU_TARGET).steps;
  const found = trafficOf(kernel, { tokens: 4096 });
  const of = (name: string): Traffic => {
    const at = slots.findIndex((s) =>
      s.tag === "term" && s.term.tag === "input" && s.term.name.startsWith(name) &&
      s.term.name.endsWith("codes")
    );
    return found.get(kernel.arrays[at].name)!;
  };
  return { k: of("k"), v: of("v") };
};

Deno.test("trafficOf() attention to 4-bit codes: each byte is fetched once, and all lanes take part", () => {
  for (const codec of [rtnGrouped(4), decoquantB(4)]) {
    for (const group of [1, 4]) {
      const { k, v } = codesOf(codec, group);
      const bytes = 256 * 64 / 2;
      // A row of keys a lane: 16 bytes of each sector at a time, the other 16 with the next load.
      deepEqual(k, { useful: bytes, fetched: bytes, asked: 2 * bytes, loads: 16, busy: 1 });
      deepEqual(v, { useful: bytes, fetched: bytes, asked: bytes, loads: 64, busy: 1 });
    }
  }
});

Deno.test("trafficOf() joined heads, 2 bits: a head fetches its own", () => {
  for (const codec of [rtnGrouped(2), decoquantB(2)]) {
    const { k, v } = codesOf(codec, 1);
    for (const { fetched, useful } of [k, v]) deepEqual(fetched, useful);
  }
});
