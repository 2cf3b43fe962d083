/**
 * Binds products summed over tokens to their meaning: of rows with themselves and with others, with a number that
 * multiplies all of them at any scale, read where they lie and made anew.
 */
import { ok } from "node:assert/strict";
import fc from "fast-check";
import {
  broadcast,
  contractBy,
  foldOver,
  input,
  map,
  permute,
  reshape,
} from "../dsl/core/build.ts";
import { held } from "../dsl/core/held.ts";
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
  /** Heads have products of their own, or are added up as well. */
  readonly apart: boolean;
  /**
   * What the rows are multiplied with: nothing, one number, one of a head, a number of each column, or one over
   * their largest magnitude.
   */
  readonly by: "nothing" | "one" | "head" | "column" | "largest";
  /** Tokens come first in memory, or heads do. */
  readonly first: boolean;
  readonly other: boolean;
  /** Decades of the numbers, and how many columns are apart. */
  readonly power: number;
  readonly decades: number;
  /** Decades between the first token and the last. */
  readonly fading: number;
  readonly seed: number;
}

const termsOf = (
  { fours, inner, heads, by, first, other, apart }: Tall,
): { readonly out: Term } | { readonly out: Term; readonly top: Term } => {
  const n = 4 * fours;
  const lies = (name: string): Term => {
    const x = input(
      name,
      first ? ["tokens", heads, inner * n] : [heads, "tokens", inner * n],
      "f32",
    );
    return reshape(first ? permute(x, [1, 0, 2]) : x, [heads, "tokens", inner, n]);
  };
  const top = held(
    foldOver("max", "max", map("abs", lies("x")), apart ? [1, 2, 3] : [0, 1, 2, 3]),
  );
  const scaled = (name: string): Term => {
    const x = lies(name);
    const spread = (s: Term, axes: readonly number[]): Term =>
      map("mul", x, broadcast(s, x.shape, axes));
    if (by === "largest") {
      return map("div", x, broadcast(top, x.shape, apart ? [0] : []));
    }
    if (by === "one") return spread(input("s", [], "f32"), []);
    if (by === "head") return spread(input("s", [heads], "f32"), [0]);
    return by === "column" ? spread(input("s", [n], "f32"), [3]) : x;
  };
  const labels = {
    args: [["h", "t", "r", "i"], ["h", "t", "r", "j"]],
    out: apart ? ["h", "i", "j"] : ["i", "j"],
  };
  const out = contractBy(labels, scaled("x"), scaled(other ? "y" : "x"));
  return by === "largest" ? { out, top } : { out };
};

const tallArb: fc.Arbitrary<Tall> = fc.record({
  fours: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 })),
  inner: fc.integer({ min: 1, max: 5 }),
  heads: fc.integer({ min: 1, max: 2 }),
  tokens: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 300 })),
  by: fc.oneof(
    fc.constantFrom("nothing", "one", "head", "column", "largest"),
    fc.constant("largest" as const),
  ),
  apart: fc.boolean(),
  first: fc.boolean(),
  other: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  power: fc.integer({ min: -36, max: 36 }),
  decades: fc.constantFrom(0, 0, 6, 20),
  fading: fc.constantFrom(0, 0, 8, 40),
  seed: fc.nat(),
});

onDevices(
  "a product over tokens is what it means",
  { wasm: 80, webgpu: 10 },
  async (device, runs) => {
    const programs = programsOn(device);
    await hold(
      fc.asyncProperty(tallArb, async (tall) => {
        const { fours, inner, heads, tokens, by, decades, fading, first, other, seed } = tall;
        // Sums of squares stay in range where nothing brings the numbers back to it.
        const power = by === "nothing" ? Math.max(-12, Math.min(12, tall.power)) : tall.power;
        const next = normals(seed);
        const n = 4 * fours;
        const each = (first ? heads : 1) * inner * n;
        const rows = (): Float32Array =>
          Float32Array.from({ length: heads * tokens * inner * n }, (_, i) => {
            const token = Math.floor(i / each) % tokens;
            return next() * 10 ** (power - decades * (i % n) / n - fading * token / tokens);
          });
        const s = Float32Array.from(
          { length: by === "one" ? 1 : by === "head" ? heads : n },
          () => (1 + Math.abs(next())) * 10 ** -power,
        );
        const inputs = {
          x: rows(),
          ...other ? { y: rows() } : {},
          ...["one", "head", "column"].includes(by) ? { s } : {},
        };
        const outs = termsOf(tall);
        const form = [fours, inner, heads, by, tall.apart, first, other];
        const program = await programs(form.join(), () => outs);
        const got = await program.values(inputs);
        for (const [name, term] of Object.entries(outs)) {
          const over = excess(got[name], term, program.outputs[name as "out"], {
            sizes: { tokens },
            inputs,
          });
          ok(over <= 0, `${name}: ${over} beyond rounding`);
        }
        return true;
      }),
      runs,
    );
  },
);
