/**
 * Binds products summed over tokens to their meaning: of rows with themselves and with others, with a number that
 * multiplies all of them at any scale, read where they lie and made anew.
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import { broadcast, contractBy, input, map, permute, reshape } from "../dsl/core/build.ts";
import type { Term } from "../dsl/core/term.ts";
import { normals } from "./arbitraries.ts";
import { hold } from "./check.ts";
import { onDevices, programsOn } from "./devices.ts";
import { excess } from "./laws/meaning.ts";

/** A product in words. */
interface Tall {
  readonly fours: number;
  readonly inner: number;
  readonly heads: number;
  readonly tokens: number;
  /** What the rows are multiplied with: nothing, one number, one of a head, or a number of each column. */
  readonly by: "nothing" | "one" | "head" | "column";
  /** Tokens come first in memory, or heads do. */
  readonly first: boolean;
  readonly other: boolean;
  /** Decades of the numbers, and how many columns are apart. */
  readonly power: number;
  readonly decades: number;
  readonly seed: number;
}

const termOf = ({ fours, inner, heads, by, first, other }: Tall): Term => {
  const n = 4 * fours;
  const lies = (name: string): Term => {
    const x = input(
      name,
      first ? ["tokens", heads, inner * n] : [heads, "tokens", inner * n],
      "f32",
    );
    return reshape(first ? permute(x, [1, 0, 2]) : x, [heads, "tokens", inner, n]);
  };
  const scaled = (name: string): Term => {
    const x = lies(name);
    const spread = (s: Term, axes: readonly number[]): Term =>
      map("mul", x, broadcast(s, x.shape, axes));
    if (by === "one") return spread(input("s", [], "f32"), []);
    if (by === "head") return spread(input("s", [heads], "f32"), [0]);
    return by === "column" ? spread(input("s", [n], "f32"), [3]) : x;
  };
  const labels = { args: [["h", "t", "r", "i"], ["h", "t", "r", "j"]], out: ["h", "i", "j"] };
  return contractBy(labels, scaled("x"), scaled(other ? "y" : "x"));
};

const tallArb: fc.Arbitrary<Tall> = fc.record({
  fours: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 })),
  inner: fc.integer({ min: 1, max: 5 }),
  heads: fc.integer({ min: 1, max: 2 }),
  tokens: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 300 })),
  by: fc.constantFrom("nothing", "one", "head", "column"),
  first: fc.boolean(),
  other: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  power: fc.integer({ min: -36, max: 36 }),
  decades: fc.constantFrom(0, 0, 6, 20),
  seed: fc.nat(),
});

onDevices(
  "a product over tokens is what it means",
  { wasm: 100, webgpu: 15 },
  async (device, runs) => {
    const programs = programsOn(device);
    await hold(
      fc.asyncProperty(tallArb, async (tall) => {
        const { fours, inner, heads, tokens, by, decades, seed } = tall;
        // Sums of squares stay in range where nothing brings the numbers back to it.
        const power = by === "nothing" ? Math.max(-12, Math.min(12, tall.power)) : tall.power;
        const next = normals(seed);
        const n = 4 * fours;
        const rows = (): Float32Array =>
          Float32Array.from(
            { length: heads * tokens * inner * n },
            (_, i) => next() * 10 ** (power - decades * (i % n) / n),
          );
        const s = Float32Array.from(
          { length: by === "one" ? 1 : by === "head" ? heads : n },
          () => (1 + Math.abs(next())) * 10 ** -power,
        );
        const inputs = { x: rows(), y: rows(), s };
        const out = termOf(tall);
        const { fours: _, tokens: __, power: ___, decades: ____, seed: _____, ...form } = tall;
        const program = await programs(JSON.stringify([fours, form]), () => ({ out }));
        const given = Object.fromEntries(
          Object.entries(inputs).filter(([k]) =>
            k === "x" || (k === "y" ? tall.other : by !== "nothing")
          ),
        );
        const { out: got } = await program.values(given);
        const over = excess(got, out, program.outputs.out, { sizes: { tokens }, inputs: given });
        ok(over <= 0, `${over} beyond rounding`);
        return true;
      }),
      runs,
    );
  },
);
