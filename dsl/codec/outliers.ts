/**
 * The values of largest magnitude of every token apart, so that a few of them do not set the range of all.
 *
 * ```text
 * before: 1 −2 90 2      after: 1 −2 ⅓ 2 by a codec; place 2, and what the codec leaves of 90 there
 * ```
 *
 * At the chosen places the codec is given the mean of the other values, and what it then is off by is stored
 * in f16. Places are found one after the other (largest magnitude, the last of equals): a fixed number a
 * token. Decoded they are a sum of that many vectors of one entry each, which attention reads beside the
 * codes. A number of outliers that differs from token to token is no tensor: this language cannot say it.
 * @module
 */
import { broadcast, cast, foldOver, iota, map, reshape } from "../core/build.ts";
import { concat, slice } from "../core/pieces.ts";
import { DTYPES } from "../core/dtype.ts";
import { ShapeError, shapeText, ValueError } from "../core/errors.ts";
import { markAt } from "../core/marks.ts";
import type { Shape, Term } from "../core/term.ts";
import { type Codec, ofAllTokens } from "./codec.ts";
import { inside, prefixed } from "./parts.ts";

/** What {@link outliers} is asked for. */
export interface Outliers {
  /** Outliers of a token. */
  readonly count: number;
}

const PLACES = DTYPES.u8.max + 1;

const last = (shape: Shape): number => shape.length - 1;

/** One number a token, repeated along its channels. */
const repeated = (stat: Term, shape: Shape): Term =>
  broadcast(stat, shape, stat.shape.map((_, i) => i));

/** Statistics of a token side by side. */
const join = (stats: readonly Term[]): Term => {
  const axis = stats[0].shape.length;
  return concat(stats.map((s) => reshape(s, [...s.shape, 1])), axis);
};

/** Statistic i of those. */
const nth = (t: Term, i: number): Term =>
  reshape(slice(t, last(t.shape), i, i + 1), t.shape.slice(0, -1));

/** Places of the largest magnitudes of each token, side by side. */
const placesIn = (x: Term, count: number): Term => {
  const over = [last(x.shape)];
  const places: Term[] = [];
  let size: Term = map("abs", x);
  for (let i = 0; i < count; i++) {
    const top = repeated(foldOver("max", "max", size, over), x.shape);
    const index = map("select", map("less", size, top), 0, iota(x.shape, over[0]));
    places.push(foldOver("max", "max", index, over));
    // What was found stands below every magnitude.
    if (i < count - 1) size = map("select", markAt(places[i], x.shape), -1, size);
  }
  return join(places);
};

/**
 * A tensor by a codec, but for some values of each token. Parts: those of the codec under `values`, and
 * `places` (u8) and `outliers` (f16), so many a token.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { bitsOf, outliers, quantize } from "kvfold";
 * const codec = outliers({ count: 4 })(quantize({ bits: 2, per: "token", range: "asymmetric" }));
 * ok(bitsOf(codec, ["heads", "tokens", 128]) === 2 + 32 / 128 + 4 * (8 + 16) / 128);
 * ```
 */
export const outliers = ({ count }: Outliers): (codec: Codec) => Codec => {
  const name = `outliers(${count})`;
  if (!(Number.isInteger(count) && count > 0)) {
    throw new ValueError(name, "the number of outliers is not a positive whole number");
  }
  const channelsOf = (shape: Shape): number => {
    const channels = shape[last(shape)];
    if (typeof channels === "number" && channels <= PLACES && channels > count) return channels;
    throw new ShapeError(
      name,
      `last axis of ${shapeText(shape)} is ${channels}, not ${count + 1} to ${PLACES}`,
    );
  };
  return (codec) => ({
    name: `${name} |> ${ofAllTokens(name, codec).name}`,
    encode: (x, batch) => {
      const over = [last(x.shape)];
      const others = channelsOf(x.shape) - count;
      // What follows is made against the places as they are stored, whichever of two equals those are.
      const places = cast(placesIn(x, count), "u8");
      const each = Array.from({ length: count }, (_, i) => markAt(nth(places, i), x.shape));
      const marks = each.reduce((a, b) => map("add", a, b));
      const mean = map("div", foldOver("sum", "sum", map("select", marks, 0, x), over), others);
      const values = codec.encode(map("select", marks, repeated(mean, x.shape), x), batch);
      const left = map("sub", x, codec.decode(values, x.shape, batch));
      const found = each.map((mark) => foldOver("sum", "sum", map("mul", mark, left), over));
      return {
        ...prefixed("values", values),
        places,
        outliers: cast(join(found), "f16"),
      };
    },
    decode: (parts, shape, batch) => {
      const base = codec.decode(inside(parts, "values"), shape, batch);
      return Array.from({ length: count }, (_, i) => {
        const value = repeated(nth(parts.outliers, i), shape);
        return map("mul", markAt(nth(parts.places, i), shape), value);
      }).reduce((sum, one) => map("add", sum, one), base);
    },
  });
};
