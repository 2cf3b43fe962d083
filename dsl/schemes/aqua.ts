/**
 * AQUA-KV (arXiv 2501.19392): what a linear map of the layer before does not predict, by HIGGS:
 * K = W·K̃_{ℓ−1} + b + rest, where K̃ is as decoded, so that a reader has it. V alike, from K̃_ℓ and Ṽ_{ℓ−1}.
 *
 * Bits: 2 + 16/d. The paper predicts keys before RoPE, which a cache that holds them after RoPE cannot.
 * Calibration: W and b, by least squares from Σ y yᵀ and Σ y xᵀ of decoded layers, folds over tokens.
 * Streaming: every token is coded alone; sinks and a window are `window`'s.
 * @module
 */
import { pipe } from "../../fp.ts";
import { type Codec, on } from "../codec/codec.ts";
import { predict } from "../codec/predict.ts";
import type { Term } from "../core/term.ts";
import { higgs } from "./higgs.ts";

/** The rest of a prediction, two bits a value. */
export const aqua = (prediction: Term): Codec => pipe(predict(prediction), on("rest", higgs));
