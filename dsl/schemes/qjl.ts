/**
 * QJL (arXiv 2406.03482): signs of a rotated token, k̂ = ‖k‖/√d · √(π/2) / m · Σ Sᵢᵀ sign(Sᵢ k), so that
 * q·k̂ is unbiased over S. Two sketches of d signs, orthogonal S. Bits: 2 + 16/d.
 *
 * Unbiased is not close: it loses to the centroids of as many bits by far (`turboquant`), and is here to show
 * that. The paper's outlier channels with signs of their own are left out, and its 2-bit values are `rtnGrouped`.
 * Streaming: every token is coded alone. Calibration: none; S is of seeds.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import { inside, prefixed } from "../codec/parts.ts";
import { map } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import { normalize } from "../decompose/normalize.ts";
import { rotate } from "../decompose/rotate.ts";
import { codebook } from "../quantize/codebook.ts";

const ROOT = Math.sqrt(Math.PI / 2);
const signs = codebook({ levels: [-ROOT, ROOT], per: "token", scale: "none" });

/** The mean of what some sketches give back. */
const sketches = (count: number): Codec => {
  const each = Array.from(
    { length: count },
    (_, i) => pipe(rotate({ seed: i + 1 }), on("values", signs)),
  );
  return {
    name: `sketches(${count})`,
    encode: (x, batch) =>
      Object.assign({}, ...each.map((s, i) => prefixed(`sketch${i}`, s.encode(x, batch)))),
    decode: (parts, shape, batch) => {
      const sum = each.map((s, i) => s.decode(inside(parts, `sketch${i}`), shape, batch))
        .reduce((a, b) => map("add", a, b));
      return map("mul", sum, 1 / count);
    },
  };
};

/** So many signs a value of the direction, and the norm. Bits: count + 16/d. */
export const sketched = (count: number): Codec => {
  if (Number.isInteger(count) && count > 0) {
    return pipe(normalize(), on("direction", sketches(count)));
  }
  throw new ValueError(`sketched(${count})`, "the number of signs is not a positive whole number");
};

/** Two signs a value of the direction, and the norm. */
export const qjl: Codec = sketched(2);
