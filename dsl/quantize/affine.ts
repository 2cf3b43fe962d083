/**
 * Affine quantization: x̂ = s·c + m with codes of b bits, one (s, m) a scope.
 *
 * symmetric (RTN of the papers): s = h(max(max|x|, 1e-5) / (2^(b−1) − 1)), c = rint(x / s), stored with the
 * zero point 2^(b−1); at 2 bits the codes are {−1, 0, 1}, at 1 bit only 0 is left: refused.
 * asymmetric: m = h(min), s = h((max − m) / (2^b − 1)), c = clamp(rint((x − m) / s)).
 * signed (ggml's q4_0): s = h(M / −2^(b−1)) with M the value of largest magnitude and its sign,
 * x̂ = s·(c − 2^(b−1)): M is met, the opposite side has one level less.
 * h rounds to the stored type first; codes are computed against what is stored. Zero range: code 0.
 * @module
 */
import { BITS, type Bits, packedOf } from "../core/dtype.ts";
import { cast, foldOver, map, reshape } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import type { Term } from "../core/term.ts";
import type { Codec, Parts } from "../codec/codec.ts";
import { checkPer, type Per, perText, type Scope, scopeOf, spread } from "./scope.ts";

/** What {@link quantize} is asked for. */
export interface Affine {
  /** Bits of a code. */
  readonly bits: Bits;
  /** Which values share a scale. */
  readonly per: Per;
  /** One scale around 0, a scale and a minimum, or one scale that meets the largest magnitude. */
  readonly range: "symmetric" | "asymmetric" | "signed";
  /** How scale and minimum are stored. */
  readonly scale?: "f16" | "f32";
}

/**
 * Affine quantizer, x̂ = scale·(code − zero) or scale·code + min, one scale (and minimum) for what `per` says.
 *
 * ```text
 * symmetric    scale = max |x| / (2^(b−1) − 1)          codes −(2^(b−1) − 1) … 2^(b−1) − 1, not at 1 bit
 * asymmetric   min = min x, scale = (max x − min) / (2^b − 1)            codes 0 … 2^b − 1
 * signed       scale = the x of largest magnitude / −2^(b−1)     codes −2^(b−1) … 2^(b−1) − 1 (ggml's q4_0)
 * ```
 *
 * Codes are rounded against the scale as it is stored. Parts: `codes` of x's shape, `scale` and, if asymmetric,
 * `min`. A `ShapeError` says where groups do not divide an axis, a `ValueError` what is no option.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { evaluate, input, quantize } from "kvfold";
 * const codec = quantize({ bits: 2, per: "token", range: "asymmetric" });
 * const back = codec.decode(codec.encode(input("x", [1, 4], "f32")), [1, 4]);
 * ok(evaluate(back, { sizes: {}, inputs: { x: [0, 0.9, 2.2, 3] } }).data.join() === "0,1,2,3");
 * ```
 */
export const quantize = (options: Affine): Codec => {
  const { bits, per, range, scale: stored = "f16" } = options;
  if (!BITS.includes(bits)) {
    throw new ValueError("quantize", `bits are ${bits}, not one of ${BITS.join(", ")}`);
  }
  checkPer("quantize", per);
  const centred = range !== "asymmetric";
  const zero = centred ? 2 ** (bits - 1) : 0;
  const ranges = { symmetric: zero - 1, asymmetric: 2 ** bits - 1, signed: -zero };
  if (!Object.hasOwn(ranges, range)) {
    throw new ValueError(
      "quantize",
      `range is ${range}, not one of ${Object.keys(ranges).join(", ")}`,
    );
  }
  const levels = ranges[range];
  if (levels === 0) {
    throw new ValueError(
      "quantize",
      `bits are ${bits}, range is ${range}: 2^(${bits} - 1) - 1 = ${levels} levels beside 0`,
    );
  }
  const decodeView = (parts: Parts, scope: Scope): Term => {
    const codes = reshape(parts.codes, scope.view);
    const steps = map(
      "mul",
      centred ? map("sub", codes, zero) : codes,
      spread(parts.scale, scope),
    );
    return centred ? steps : map("add", steps, spread(parts.min, scope));
  };
  const statistics = (x: Term, scope: Scope): { scale: Term; min?: Term } => {
    if (range === "symmetric") {
      const top = foldOver("max", "max", map("abs", x), scope.axes);
      return { scale: cast(map("div", map("max", top, 1e-5), levels), stored) };
    }
    const [lo, hi] = ["lo", "hi"].map((end) => foldOver("extent", end, x, scope.axes));
    if (range === "signed") {
      const extreme = map("select", map("less", map("neg", lo), hi), hi, lo);
      return { scale: cast(map("div", extreme, levels), stored) };
    }
    const min = cast(lo, stored);
    return { scale: cast(map("div", map("max", map("sub", hi, min), 0), levels), stored), min };
  };
  return {
    name: `quantize(${bits}, per ${perText(per)}, ${range})`,
    encode: (x, batch = 0) => {
      const scope = scopeOf("quantize", per, x.shape, batch);
      const view = reshape(x, scope.view);
      const { scale, min } = statistics(view, scope);
      const above = min === undefined ? view : map("sub", view, spread(min, scope));
      const steps = map("div", above, spread(scale, scope));
      const codes = {
        symmetric: () =>
          map("add", map("min", map("max", map("rint", steps), -levels), levels), zero),
        asymmetric: () => steps,
        signed: () => map("add", steps, zero),
      }[range]();
      return {
        codes: reshape(cast(codes, packedOf(bits)), x.shape),
        scale,
        ...(min === undefined ? {} : { min }),
      };
    },
    decode: (parts, shape, batch = 0) =>
      reshape(decodeView(parts, scopeOf("quantize", per, shape, batch)), shape),
  };
};
