/** Reading after a prompt: on an exact cache it is reading on, on one that drops tokens those are gone. */
import assert from "node:assert/strict";
import { isLeft } from "../fp.ts";
import { bitsOf, f16, snapkv } from "../mod.ts";
import { cacheShape } from "./llama.ts";
import { loadModel, WIKI4M } from "./load.ts";
import { deviation, relative } from "./quality.ts";
import { EXACT, openRunner } from "./runner.ts";

const ids = Array.from({ length: 48 }, (_, i) => (7 + 131 * i * i) % 2048);
const PROMPT = 32;

Deno.test("prompt: the rest of a text, read on what is stored of the prompt and of itself", async () => {
  const runner = await openRunner(loadModel(WIKI4M));
  try {
    const { vocabSize, layers, kvHeads } = runner.config;
    const rest = ids.slice(PROMPT);
    const whole = await runner.run(ids, EXACT);
    const after = await runner.run(ids.slice(0, PROMPT), EXACT, { see: true });
    const far = (logits: Float32Array): number =>
      relative(deviation(whole.logits.subarray(PROMPT * vocabSize), logits));

    assert.ok(far((await runner.run(rest, EXACT, { after })).logits) < 1e-5);
    const all = await runner.run(rest, { k: f16, v: f16 }, { after });
    assert.ok(far(all.logits) < 1e-2);
    const one = await runner.run(rest, snapkv({ keep: 1 }, f16).after(rest.length), { after });
    assert.deepEqual(one.logits, all.logits);

    // Half of the 24 tokens before the last 8, those, and all that came later.
    const scheme = snapkv({ keep: 0.5, observed: 8 }, f16).after(rest.length);
    const some = await runner.run(rest, scheme, { after, see: true });
    const kept = 12 + 8 + rest.length;
    const off = far(some.logits);
    assert.ok(off > far(all.logits) && off < 1, `${off}`);
    assert.equal(some.layers.length, layers);
    for (const { kBytes, salience, seen } of some.layers) {
      assert.equal(
        8 * kBytes,
        bitsOf(scheme.k, cacheShape(runner.config), { tokens: 48 }) * 48 * 128,
      );
      assert.equal(salience!.length, kvHeads * 48);
      const { k: [, k], v: [, v] } = seen!;
      const gone = (x: Float64Array, t: number): boolean =>
        x.subarray(t * 64, (t + 1) * 64).every((y) => y === 0);
      const lost = Array.from({ length: kvHeads * 48 }, (_, t) => t).filter((t) => gone(k, t));
      assert.equal(lost.length, kvHeads * (48 - kept));
      assert.ok(lost.every((t) => gone(v, t) && t % 48 < PROMPT - 8));
    }

    await assert.rejects(
      async () => await runner.run(rest, EXACT, { after: whole }),
      /the run of the prompt was not looked at/,
    );
    const long = Array<number>(runner.config.contextLength - PROMPT + 1).fill(1);
    assert.ok(isLeft(await runner.tryRun(long, EXACT, { after })));
  } finally {
    runner.close();
  }
});
