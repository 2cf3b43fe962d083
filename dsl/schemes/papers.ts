/**
 * The schemes of papers, each a file of its own: what the public door shows of them.
 * @module
 */
export { decoquantA, decoquantB, decoquantRows } from "./decoquant.ts";
export { decomposed } from "./decomposed.ts";
export { aqua } from "./aqua.ts";
export { eoptshrink } from "./eoptshrink.ts";
export { gear } from "./gear.ts";
export { grain } from "./grain.ts";
export { higgs } from "./higgs.ts";
export { kvarn } from "./kvarn.ts";
export { kvtc } from "./kvtc.ts";
export { kvquant } from "./kvquant.ts";
export { oscar } from "./oscar.ts";
export { polarquant } from "./polarquant.ts";
export { qjl, sketched } from "./qjl.ts";
export { smoothed } from "./smoothed.ts";
export { type Svdq, svdq } from "./svdq.ts";
export { fp8, mxfp4, nvfp4 } from "./floats.ts";
export { q4_0, q4_1, q8_0 } from "./ggml.ts";
export { type Gptq, gptq, gptqWeights, outputLoss } from "./gptq.ts";
export { type Awq, awq, clipped, salience } from "./awq.ts";
export { type Smooth, smoothing, smoothquant } from "./smoothquant.ts";
export { type KeysAndValues, kivi } from "./kivi.ts";
export { lathe } from "./lathe.ts";
export { FORMATS, type SchemeName, SCHEMES, WIDTHS } from "./mod.ts";
export { nf4Grouped } from "./nf4.ts";
export { quarot } from "./quarot.ts";
export { rtn, rtnGrouped } from "./rtn.ts";
export { turboquant } from "./turboquant.ts";
export { type Chosen, chosen, type Prompt } from "./chosen.ts";
export { expectedAttention, type Expecting, spreadOf } from "./expected_attention.ts";
export { h2o, type Heavy, heavyHitters, type Hitters } from "./h2o.ts";
export { type Important, mikv } from "./mikv.ts";
export { type Snap, snapkv } from "./snapkv.ts";
export { movingWindow, type Streaming, streamingllm } from "./streamingllm.ts";
export { type Tova, tova } from "./tova.ts";
export { type Zip, zipcache } from "./zipcache.ts";
