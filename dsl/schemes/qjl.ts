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
import { normalize } from "../decompose/normalize.ts";
import { rotate } from "../decompose/rotate.ts";
import { codebook } from "../quantize/codebook.ts";

const ROOT = Math.sqrt(Math.PI / 2);
const signs = codebook({ levels: [-ROOT, ROOT], per: "token", scale: "none" });
const SKETCHES = [1, 2].map((seed) => pipe(rotate({ seed }), on("values", signs)));

/** The mean of what the sketches give back. */
const sketches: Codec = {
  name: "sketches(2)",
  encode: (x, batch) =>
    Object.assign({}, ...SKETCHES.map((s, i) => prefixed(`sketch${i}`, s.encode(x, batch)))),
  decode: (parts, shape, batch) => {
    const [a, b] = SKETCHES.map((s, i) => s.decode(inside(parts, `sketch${i}`), shape, batch));
    return map("mul", map("add", a, b), 1 / 2);
  },
};

/** Two signs a value of the direction, and the norm. */
export const qjl: Codec = pipe(normalize(), on("direction", sketches));
