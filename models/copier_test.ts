import { equal } from "node:assert/strict";
import { copier } from "./copier.ts";
import { largest, openGenerator } from "./generate.ts";
import { EXACT } from "./runner.ts";
import { uniforms } from "./uniforms.ts";

Deno.test("the copier says what came next the last time, however far back", async () => {
  const next = uniforms(3);
  for (const seed of [1, 2]) {
    const generator = await openGenerator(copier(seed), EXACT);
    const text = Array.from({ length: 1500 }, () => 64 + Math.floor(64 * next()));
    const [key, ...after] = [3, 40, 17, 55];
    [key!, ...after].forEach((id, i) => text[20 + i] = id);
    let said = largest(await generator.feed([...text, key!]));
    for (const id of after) {
      equal(said, id);
      said = largest(await generator.feed([id]));
    }
    generator.close();
  }
});
