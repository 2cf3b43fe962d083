/**
 * Codecs that are made of others, and what may be asked of one: what the public door shows of them.
 * @module
 */
export { type Adaptive, adaptive, type Measured, type Rule } from "./adaptive.ts";
export { type CodecBound, codecBound } from "./bound.ts";
export { type Claim, codecClaim } from "./claim.ts";
export { byHead } from "./by_head.ts";
export { byToken, keep, SALIENCE, type TokenOrder, told } from "./by_token.ts";
export * from "./evicting.ts";
export { type Window, window, type Windowed } from "./window.ts";
export { codecVariance } from "./expected.ts";
export { type Outliers, outliers } from "./outliers.ts";
export { type Online, online, type Refresh } from "./online.ts";
export { predict } from "./predict.ts";
export { residual } from "./residual.ts";
export { split } from "./split.ts";
export { together } from "./together.ts";
