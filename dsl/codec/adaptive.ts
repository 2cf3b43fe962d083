/**
 * One of several codecs, as the data asks: the least error within a rate, or the least rate within an error.
 *
 * ```text
 * candidates   svd, qr, mpo, none  |> codes                 as many programs, each with its own bits and error
 * rule         { bits: 4.5 }                                at most so many a value: the least error of those
 *              { error: 0.1 }                               ‖x − x̂‖ / ‖x‖ at most: the fewest bits of those
 * stored       choice u8 [1], and the parts of the chosen one
 * ```
 *
 * Parts of different candidates have different shapes, so the choice is made before a program reads them:
 * {@link Adaptive.at} is the codec of a stored choice. Of equal ones the one with fewer bits (or less error)
 * is taken, then the first. Error and bits are those of the tensor that is looked at, choice included.
 *
 * Streaming: the choice is that of the tokens looked at, a prompt's; later tokens meet it, by the rule of the
 * chosen codec. Calibration: none.
 * @module
 */
import { broadcast, cast, constant, foldOver, map } from "../core/build.ts";
import { ValueError } from "../core/errors.ts";
import type { Term } from "../core/term.ts";
import { normalised } from "../decompose/spectrum.ts";
import { type Codec, type Extend, ofAllTokens } from "./codec.ts";
import { outside } from "./parts.ts";

/** What is asked of a codec: at most so many bits a value, or a relative error of at most so much. */
export type Rule = { readonly bits: number } | { readonly error: number };

/** Codecs to choose from, and how. */
export interface Adaptive {
  /** The choice as it is written. */
  readonly name: string;
  /** What is chosen from. */
  readonly candidates: readonly Codec[];
  /** What is asked of them. */
  readonly rule: Rule;
  /** The codec that a stored choice says: the candidate of that number, and the number. */
  readonly at: (choice: number) => Codec;
}

/** What a candidate takes and loses. */
export interface Measured {
  /** The candidate. */
  readonly name: string;
  /** Bits a value. */
  readonly bits: number;
  /** ‖x − x̂‖ / ‖x‖. */
  readonly error: number;
}

/** Name of the part that says which. */
const CHOICE = "choice";
/** A choice is one of these codes. */
const [STORED, MOST] = ["u8", 256] as const;

/** The candidate with its number among the parts. */
const numbered = (codec: Codec, choice: number, of: number): Codec => {
  const number = cast(constant(choice, [1]), STORED);
  const { extend } = codec;
  return {
    name: `adaptive(${choice} of ${of}: ${codec.name})`,
    encode: (x, batch) => ({ [CHOICE]: number, ...codec.encode(x, batch) }),
    decode: (parts, shape, batch) => codec.decode(outside(parts, CHOICE), shape, batch),
    ...extend === undefined ? {} : {
      extend: ((x, { [CHOICE]: _, ...fixed }, batch) => extend(x, fixed, batch)) satisfies Extend,
    },
  };
};

/**
 * Codecs to choose from: the least error within so many bits a value, or the fewest bits within an error
 * ‖x − x̂‖ / ‖x‖. `choose` looks at a tensor and says which.
 *
 * @example
 * ```ts
 * import { ok } from "node:assert/strict";
 * import { adaptive, bitsOf, rtn } from "kvfold";
 * const scheme = adaptive([rtn(2), rtn(4)], { bits: 4.5 });
 * ok(bitsOf(scheme.at(1), [2, "tokens", 64]) === 4 + 16 / 128); // a choice costs nothing in the limit
 * ok(bitsOf(scheme.at(1), [2, 10, 64]) === 4 + 16 / 128 + 32 / (2 * 10 * 64)); // and a word here
 * ```
 */
export const adaptive = (candidates: readonly Codec[], rule: Rule): Adaptive => {
  const asked = "bits" in rule ? `bits ${rule.bits}` : `error ${rule.error}`;
  const name = `adaptive(${asked})`;
  if (candidates.length === 0 || candidates.length > MOST) {
    throw new ValueError(name, `chooses from 1 to ${MOST} codecs, ${candidates.length} are given`);
  }
  candidates.forEach((codec) => ofAllTokens(name, codec));
  if (!Object.values(rule).every((limit) => limit >= 0)) {
    throw new ValueError(name, `${asked} is no rate and no error`);
  }
  return {
    name,
    candidates,
    rule,
    at: (choice) => {
      const codec = candidates[choice];
      if (codec !== undefined) return numbered(codec, choice, candidates.length);
      throw new ValueError(name, `choice ${choice} is none of ${candidates.length} candidates`);
    },
  };
};

/** Squares of what a codec loses of x, and of x, both over the square of the largest magnitude. */
export const lossOf = (codec: Codec, x: Term): { readonly lost: Term; readonly all: Term } => {
  const axes = x.shape.map((_, i) => i);
  const { x: scaled, top } = normalised({ term: x, labels: axes.map((i) => `x${i}`) }, []);
  const square = (t: Term): Term => foldOver("sum", "sum", map("mul", t, t), axes);
  const back = codec.decode(codec.encode(x), x.shape);
  const lost = map("div", map("sub", x, back), broadcast(top.term, x.shape, []));
  return { lost: square(lost), all: square(scaled.term) };
};

/** Which candidate the rule takes, if one fits. */
export const chosenBy = (rule: Rule, measured: readonly Measured[]): number | undefined => {
  const [limited, least] = "bits" in rule
    ? (["bits", "error"] as const)
    : (["error", "bits"] as const);
  const limit = "bits" in rule ? rule.bits : rule.error;
  return measured
    .map((m, at) => ({ ...m, at }))
    .filter((m) => m[limited] <= limit && Number.isFinite(m.error))
    .sort((a, b) => a[least] - b[least] || a[limited] - b[limited] || a.at - b.at)[0]?.at;
};
