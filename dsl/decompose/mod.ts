/**
 * Decompositions: what the public door shows of them.
 * @module
 */
export { type Balance, balance } from "./balance.ts";
export { center, type Centring } from "./center.ts";
export { hadamard } from "./hadamard.ts";
export { clip } from "./clip.ts";
export { lowRank } from "./low_rank.ts";
export { type Linear, linear, type Matrix } from "./linear.ts";
export { type Chain, mpo } from "./mpo.ts";
export { type Normalization, normalize } from "./normalize.ts";
export { pca, type Principal } from "./pca.ts";
export { peak } from "./peak.ts";
export { directionOf, type Polar, polar } from "./polar.ts";
export { qr } from "./qr.ts";
export { preRope, type Rope } from "./pre_rope.ts";
export { reorder } from "./reorder.ts";
export { rotate, type Rotation } from "./rotate.ts";
export { type Shrinking, shrunk } from "./shrink.ts";
export { smooth, type Smoothing } from "./smooth.ts";
export { type Singular, svd } from "./svd.ts";
export type { Common as ChainOptions } from "./plan.ts";
