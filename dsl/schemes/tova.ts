/**
 * TOVA (arXiv 2401.06104): the token that the newest query looks at least is dropped, at each step.
 *
 * salience_t = attention of the newest query to t, summed over heads; no sums over earlier queries, no sinks and no
 * window but the newest token. All heads hold the same tokens, as in the paper. Bits of a held token: b of the codec
 * and 64/(2d), of its place and its mass.
 *
 * Streaming: bounded memory, as {@link evicting} has it. Calibration: none.
 * @module
 */
import type { Codec } from "../codec/codec.ts";
import { type Evicting, evicting } from "../codec/evicting.ts";
import type { KeysAndValues } from "./kivi.ts";

/** What {@link tova} keeps. */
export interface Tova {
  /** Tokens, from two on. */
  readonly budget: number;
}

/** What the newest query looks at, by a codec or by one of keys and one of values. */
export const tova = ({ budget }: Tova, codec: Codec | KeysAndValues): Evicting =>
  evicting({ recent: 1, heavy: budget - 1, decay: 0, shared: true }, codec);
