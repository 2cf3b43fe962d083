/**
 * Schemes that choose tokens: what is measured of a prompt, and codecs of keys and values that choose by it.
 *
 * ```text
 * prompt     q, k, v                 ->  salience [kv, tokens]      a fold over its queries; once
 * encode     k, salience             ->  the parts of what is kept, and where it stood
 * later      more tokens             ->  all of them are kept, by the same codec
 * ```
 * @module
 */
import { byToken, type TokenOrder } from "../codec/by_token.ts";
import type { Codec } from "../codec/codec.ts";
import type { Place } from "../core/dims.ts";
import { ValueError } from "../core/errors.ts";
import type { Term } from "../core/term.ts";
import type { KeysAndValues } from "./kivi.ts";

/** What a prompt tells, keys after RoPE. */
export interface Prompt {
  /** Queries `[kv, group, tokens, d]`. */
  readonly q: Term;
  /** Keys `[kv, tokens, d]`. */
  readonly k: Term;
  /** Values `[kv, tokens, e]`. */
  readonly v: Term;
  /** Queries before RoPE, of the shape of `q`. */
  readonly raw?: Term;
  /** The mean of the rotations of places to come, `[d, d]`: x at such a place is this times x, in the mean. */
  readonly ahead?: Term;
}

/** A scheme that chooses tokens of a prompt by what they count: codecs of keys and values, and the measure. */
export interface Chosen extends KeysAndValues {
  /** What tokens count, `[kv, tokens]`: the input `salience` of the programs that encode. */
  readonly salience?: (prompt: Prompt) => Term;
  /** The same with so many tokens behind the prompt, all of which are kept. */
  readonly after: (later: number) => Chosen;
}

const sides = (of: Codec | KeysAndValues): KeysAndValues => "k" in of ? of : { k: of, v: of };

/** Keys and values that choose alike; each run has its codecs. */
export const chosen = (
  choice: TokenOrder,
  cuts: readonly Place[],
  codecs: readonly (Codec | KeysAndValues)[],
  salience?: (prompt: Prompt) => Term,
): Chosen => {
  const of = (side: keyof KeysAndValues): Codec =>
    byToken(choice, cuts, codecs.map((c) => sides(c)[side]));
  return {
    k: of("k"),
    v: of("v"),
    ...salience === undefined ? {} : { salience },
    after: (later) => chosen({ ...choice, later }, cuts, codecs, salience),
  };
};

/** A share of the tokens but for the first and the newest that are kept anyway, and those. */
export const budget = (operation: string, share: number, anyway: number): readonly Place[] => {
  if (share > 0 && share <= 1) return share === 1 ? [] : [{ share, and: anyway }];
  throw new ValueError(operation, `the share that is kept is ${share}, not above 0 and up to 1`);
};
