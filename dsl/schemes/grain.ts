/**
 * Grain, a scheme of this project: cut along the grain, and more finely where it shows.
 *
 * r = x − μ, y = r·E: coordinates in which what attention does with an error is its square, and r has
 * variances that fall. The first of them get 4 bits each, then 3, 2, 1, and none; γ (f16) is the root mean
 * square of those kept, c the nearest Lloyd–Max centroid, x̂ = μ + γ·centroid[c]·B. Of keys E = W^½·U·Λ^−½
 * with W = Σ q qᵀ and U Λ Uᵀ = W^½·C·W^½, of values W = Σ O Oᵀ of the output map; C = Σ r rᵀ; B·E = 1 on
 * what is kept. By reverse water-filling a bit goes where it takes most off Σ λ·error(bits).
 *
 * Bits: (4·n₄ + 3·n₃ + 2·n₂ + n₁)/d + 16/d, and 16/L for μ. E and B are tables of the model.
 * Streaming: μ is that of the prompt; every later token is coded alone. Calibration: W and C, folds over the
 * tokens of some text, and how much each layer's error costs; `models/calibrate.ts`.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import { split } from "../codec/split.ts";
import { center } from "../decompose/center.ts";
import { type Linear, linear } from "../decompose/linear.ts";
import { normalize } from "../decompose/normalize.ts";
import { type Grades, rangesOf } from "../quantize/allot.ts";
import { codebook } from "../quantize/codebook.ts";
import { lloydMax } from "../quantize/levels.ts";

/** Coordinates of a basis by falling numbers of bits; the basis has as many as are kept. */
export const grain = (basis: Linear, grades: Grades): Codec => {
  const ranges = rangesOf(grades);
  const codecs = ranges.map(({ bits }) =>
    codebook({ levels: lloydMax(bits), per: "token", scale: "none" })
  );
  const coded = split(ranges.map(({ size }) => size), codecs);
  return pipe(
    center(),
    on(
      "values",
      pipe(
        linear(basis),
        on("values", pipe(normalize(), on("direction", coded))),
      ),
    ),
  );
};
