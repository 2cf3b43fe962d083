/**
 * Quantizers: affine codes, codebooks, widths shared out: what the public door shows of them.
 * @module
 */
export * from "./affine.ts";
export { quantizeGroups } from "./groups.ts";
export { type Codebook, codebook } from "./codebook.ts";
export { e2m1, fp4, lloydMax, lloydMaxError, nf4 } from "./levels.ts";
export type { Per } from "./scope.ts";
export { allot, type Grades, gradesOf, rangesOf, type Way, waysOf } from "./allot.ts";
export { circle, quadrant, quadrantAngles } from "./angles.ts";
export { type Grid, gridOf, normalGrid, type Pairs, pairs, type Point } from "./grid.ts";
