/**
 * Affine quantization: x̂ = s·c + m with codes of b bits, one (s, m) a scope.
 *
 * symmetric (RTN of the papers): s = h(max(max|x|, 1e-5) / (2^(b−1) − 1)), c = rint(x / s), stored with the
 * zero point 2^(b−1); at 2 bits the codes are {−1, 0, 1}, at 1 bit only 0 is left: refused.
 * asymmetric: m = h(min), s = h((max − m) / (2^b − 1)), c = clamp(rint((x − m) / s)).
 * h rounds to the stored type first; codes are computed against what is stored. Zero range: code 0.
 * @module
 */
import { BITS, type Bits, packedOf } from "../core/dtype.ts";
import { broadcast, cast, foldOver, map, reshape } from "../core/build.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import type { Shape, Term } from "../core/term.ts";
import type { Codec, Parts } from "../codec/codec.ts";

/** Which values share a scale. A number is a group of that many consecutive channels. */
export type Per = "tensor" | "token" | "channel" | number;

/** What {@link quantize} is asked for. */
export interface Affine {
  /** Bits of a code. */
  readonly bits: Bits;
  /** Which values share a scale. */
  readonly per: Per;
  /** One scale around 0, or a scale and a minimum. */
  readonly range: "symmetric" | "asymmetric";
  /** How scale and minimum are stored. */
  readonly scale?: "f16" | "f32";
}

/** A tensor seen as `view`, and which axes of the view share one scale. */
interface Scope {
  readonly view: Shape;
  readonly axes: readonly number[];
}

const scopeOf = (per: Per, shape: Shape, batch: number): Scope => {
  const n = shape.length;
  const last = shape[n - 1];
  if (typeof per === "number") {
    if (typeof last !== "number" || last % per !== 0) {
      throw new ShapeError(
        "quantize",
        `group ${per} does not divide the last axis of ${shapeText(shape)}`,
      );
    }
    return { view: [...shape.slice(0, -1), last / per, per], axes: [n] };
  }
  if (n < 2) throw new ShapeError("quantize", `needs tokens and channels, got ${shapeText(shape)}`);
  const axes = {
    token: [n - 1],
    channel: [n - 2],
    tensor: Array.from({ length: n - batch }, (_, i) => batch + i),
  };
  return { view: shape, axes: axes[per] };
};

/** Affine quantizer; see the head of the file. Parts: `codes`, `scale` and, if asymmetric, `min`. */
export const quantize = (options: Affine): Codec => {
  const { bits, per, range, scale: stored = "f16" } = options;
  if (!BITS.includes(bits)) {
    throw new ValueError("quantize", `bits are ${bits}, not one of ${BITS.join(", ")}`);
  }
  const symmetric = range === "symmetric";
  const levels = symmetric ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  if (levels === 0) {
    throw new ValueError(
      "quantize",
      `bits are ${bits}, range is ${range}: 2^(${bits} - 1) - 1 = ${levels} levels beside 0`,
    );
  }
  const zero = symmetric ? 2 ** (bits - 1) : 0;
  const spread = (stat: Term, { view, axes }: Scope): Term =>
    broadcast(stat, view, view.map((_, i) => i).filter((i) => !axes.includes(i)));
  const decodeView = (parts: Parts, scope: Scope): Term => {
    const codes = reshape(parts.codes, scope.view);
    const steps = map(
      "mul",
      symmetric ? map("sub", codes, zero) : codes,
      spread(parts.scale, scope),
    );
    return symmetric ? steps : map("add", steps, spread(parts.min, scope));
  };
  const statistics = (x: Term, scope: Scope): { scale: Term; min?: Term } => {
    if (symmetric) {
      const top = foldOver("max", "max", map("abs", x), scope.axes);
      return { scale: cast(map("div", map("max", top, 1e-5), levels), stored) };
    }
    const min = cast(foldOver("extent", "lo", x, scope.axes), stored);
    const hi = foldOver("extent", "hi", x, scope.axes);
    return { scale: cast(map("div", map("max", map("sub", hi, min), 0), levels), stored), min };
  };
  return {
    name: `quantize(${bits}, per ${per}, ${range})`,
    encode: (x, batch = 0) => {
      const scope = scopeOf(per, x.shape, batch);
      const view = reshape(x, scope.view);
      const { scale, min } = statistics(view, scope);
      const centred = min === undefined ? view : map("sub", view, spread(min, scope));
      const steps = map("div", centred, spread(scale, scope));
      const codes = symmetric
        ? map("add", map("min", map("max", map("rint", steps), -levels), levels), zero)
        : steps;
      return {
        codes: reshape(cast(codes, packedOf(bits)), x.shape),
        scale,
        ...(min === undefined ? {} : { min }),
      };
    },
    decode: (parts, shape, batch = 0) =>
      reshape(decodeView(parts, scopeOf(per, shape, batch)), shape),
  };
};
