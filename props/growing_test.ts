/** Binds the law of streams to every codec that grows, on every device. */
import { equal, ok, rejects } from "node:assert/strict";
import fc from "fast-check";
import { growingCodec } from "../dsl/codec/streaming.ts";
import { byToken, openCache, rtnGrouped } from "../mod.ts";
import { tensorOf } from "./arbitraries.ts";
import { hold } from "./check.ts";
import { CODECS } from "./codecs.ts";
import { DEVICES, onDevices } from "./devices.ts";
import { GROWING, splitsOf } from "./growing.ts";
import { fixesParts, splitBroken } from "./laws/growing.ts";

Deno.test("most codecs grow", () => {
  ok(GROWING.length > 0.7 * Object.keys(CODECS).length, `${GROWING.length} do`);
});

Deno.test("a codec that chooses among all tokens does not grow: said by name, with or without fixed parts", async () => {
  const choosing = byToken({}, [{ share: 0.25 }], [rtnGrouped(4), rtnGrouped(2)]);
  const opened = openCache(choosing, [2, 64], { device: "eval" });
  await rejects(opened, /run0\.index of later tokens needs a fold over all of them/);
});

const splitArb = fc.record({
  name: fc.constantFrom(...GROWING),
  seed: fc.nat(),
  tokens: fc.integer({ min: 1, max: 24 }),
  cuts: fc.tuple(fc.array(fc.nat(), { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 8 })),
  capacity: fc.integer({ min: 0, max: 9 }),
});

const law = (device: Parameters<typeof splitBroken>[0], runs: number): Promise<void> =>
  hold(
    fc.asyncProperty(splitArb, async ({ name, seed, tokens, cuts, capacity }) => {
      const { codec, channels: [channels] } = CODECS[name];
      const x = tensorOf({ kind: "normal", seed, heads: 2, tokens, channels });
      const [one, other] = cuts.map((c) => splitsOf(tokens, c));
      // What is fixed is fixed by the first tokens: those are the same.
      const { held } = growingCodec(codec, [2, "tokens", channels]);
      const least = held.sinks + held.tail + held.group;
      const again = (splits: number[]): number[] =>
        !fixesParts(codec, channels) || tokens <= least
          ? splits
          : [least, ...splitsOf(tokens - least, splits)];
      equal(await splitBroken(device, codec, x, [again(one), again(other)], capacity), undefined);
    }),
    runs,
  );

onDevices("a cache is the same however its tokens were split", { wasm: 120, webgpu: 6 }, law);
Deno.test("eval: a cache is the same however its tokens were split", () =>
  DEVICES.eval((device) => law(device, 40)));
