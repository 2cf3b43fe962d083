/**
 * Codebook quantization: x̂ = s·levels[c], c the nearest level of x / s, one scale s a scope.
 *
 * ```text
 * absmax   s = h(max|x|)            levels within ±1: NF4, FP4
 * norm     s = h(‖x‖ / √n)          levels for unit variance: Lloyd–Max
 * power    s = 2^n, the power of two below max|x| over the one below the largest level: MXFP4
 * none     s = 1
 * ```
 * h rounds to the stored type; codes are computed against what is stored. A code is the rounded place of
 * x / s between the levels (`core/gaps.ts`): without its rounding the codec gives back x where x / s is
 * within the levels, so its bound is half the larger gap beside a level, and what lies beyond the outermost.
 *
 * `keepNorm` stores ‖x‖ / ‖levels[c]‖ instead, with codes of the same s: x̂ has the norm of x, at no cost in bits or in decoding
 * (the norm correction of TurboQuant, arXiv 2504.19874).
 * @module
 */
import { cast, foldOver, gather, map, reshape, table } from "../core/build.ts";
import { binadeOf, BITS, type Bits, packedOf, type StoredFloat } from "../core/dtype.ts";
import { ValueError } from "../core/errors.ts";
import { gapsOf, peakOf, placeIn } from "../core/gaps.ts";
import { held } from "../core/held.ts";
import type { Shape, Term } from "../core/term.ts";
import type { Codec } from "../codec/codec.ts";
import {
  checkPer,
  mean,
  type Per,
  perText,
  rootMeanSquare,
  type Scope,
  scopeOf,
  spread,
} from "./scope.ts";

/** What {@link codebook} is asked for. */
export interface Codebook {
  /** Values of the codes, in ascending order. */
  readonly levels: readonly number[];
  /** Which values share a scale. */
  readonly per: Per;
  /** What is scaled to 1: the largest magnitude, the root of the mean square, a power of two, or nothing. */
  readonly scale: "absmax" | "norm" | "power" | "none";
  /** How the scale is stored. */
  readonly stored?: "f32" | StoredFloat;
  /** Does the reconstruction keep the norm? */
  readonly keepNorm?: boolean;
}

const STATISTICS: readonly Codebook["scale"][] = ["absmax", "norm", "power", "none"];

/** Below it a device may take two levels for one. */
const LEAST_GAP = 2 ** -126;

const widthOf = (levels: readonly number[]): Bits => {
  const width = BITS.find((bits) => 2 ** bits >= levels.length);
  if (levels.length < 2 || width === undefined) {
    throw new ValueError("codebook", `has ${levels.length} levels, not 2 to 256`);
  }
  const [at, gap] =
    [...gapsOf(levels.map(Math.fround)).entries()].find(([, g]) => !(g >= LEAST_GAP)) ?? [-1, 0];
  if (at >= 0) {
    const [left, right] = levels.slice(at);
    const why = gap > 0
      ? `: ${gap} is less than ${LEAST_GAP}, the smallest number a device keeps`
      : "";
    throw new ValueError("codebook", `level ${at + 1}, ${right}, is not above ${left}${why}`);
  }
  return width;
};

/**
 * Codebook quantizer, x̂ = scale·levels[code] with the level nearest to x / scale. Levels are any 2 to 256
 * ascending numbers; a code has the fewest of 1, 2, 3, 4, 8 bits that count them.
 *
 * ```text
 * absmax   max |x|, for levels within ±1
 * norm     ‖x‖ / √n, for levels of unit variance
 * power    2^n: the power of two below max |x|, over the one below the largest level
 * none     1
 * ```
 *
 * Parts: `codes` of x's shape and, unless `scale` is `none`, one `scale` for what `per` says.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, codebook, evaluate, input } from "kvfold";
 * const codec = codebook({ levels: [-1, -0.25, 0.25, 1], per: "token", scale: "absmax" });
 * const back = codec.decode(codec.encode(input("x", [1, 4], "f32")), [1, 4]);
 * ok(evaluate(back, { sizes: {}, inputs: { x: [4, 1.2, -0.1, -3] } }).data.join() === "4,1,-1,-4");
 * ok(bitsOf(codec, ["heads", "tokens", 64]) === 2 + 16 / 64);
 * ```
 */
export const codebook = (options: Codebook): Codec => {
  const { levels, per, scale: statistic, stored = "f16", keepNorm = false } = options;
  const bits = widthOf(levels);
  checkPer("codebook", per);
  if (!STATISTICS.includes(statistic)) {
    throw new ValueError(
      "codebook",
      `scale is ${statistic}, not one of ${STATISTICS.join(", ")}`,
    );
  }
  // Codes that stand for no level are never stored; whatever a cache holds, a look-up finds the last.
  const entries = Array.from(
    { length: 2 ** bits },
    (_, i) => levels[Math.min(i, levels.length - 1)],
  );
  const values = table(entries);
  const steps = levels.map(Math.fround);
  if (keepNorm && statistic === "none") {
    throw new ValueError("codebook", "keepNorm needs a scale that holds the norm, scale is none");
  }
  // Entries have a size that is known: their squares are a table too.
  const peak = peakOf(steps) || 1;
  const shares = table(entries.map((x) => (x / peak) ** 2));
  const entryNorm = (codes: Term, scope: Scope): Term =>
    map("mul", peak, map("sqrt", mean(gather(shares, codes), scope)));
  const scaleOf = (x: Term, scope: Scope): Term => {
    if (statistic === "norm") return rootMeanSquare(x, scope);
    const top = foldOver("max", "max", map("abs", x), scope.axes);
    return statistic === "absmax"
      ? top
      : map("mul", map("binade", top), 1 / binadeOf(peakOf(levels)));
  };
  return {
    name: `codebook(${levels.length} levels, per ${perText(per)}, ${statistic}${
      keepNorm ? ", norm" : ""
    })`,
    encode: (x, batch = 0) => {
      const scope = scopeOf("codebook", per, x.shape, batch);
      const view = reshape(x, scope.view);
      const coded = (y: Term): Term => cast(placeIn(steps, y), packedOf(bits));
      const whole = (codes: Term): Term => reshape(codes, x.shape);
      if (statistic === "none") return { codes: whole(coded(view)) };
      const own = scaleOf(view, scope);
      const scale = keepNorm ? held(own) : cast(own, stored);
      const shared = map("div", view, spread(scale, scope));
      const codes = coded(shared);
      if (!keepNorm) return { codes: whole(codes), scale };
      const norm = statistic === "norm" ? own : rootMeanSquare(view, scope);
      const kept = map("div", norm, entryNorm(codes, scope));
      return { codes: whole(codes), scale: cast(kept, stored) };
    },
    decode: (parts, shape: Shape, batch = 0) => {
      const scope = scopeOf("codebook", per, shape, batch);
      const entries = gather(values, reshape(parts.codes, scope.view));
      if (statistic === "none") return reshape(entries, shape);
      return reshape(map("mul", entries, spread(parts.scale, scope)), shape);
    },
  };
};
