/**
 * The only file that names fp-ts: a later move touches this file alone.
 * @module
 */
export { type Either, isLeft, isRight, left, right } from "fp-ts/lib/Either.js";
export { flow, pipe } from "fp-ts/lib/function.js";
export { type Monoid } from "fp-ts/lib/Monoid.js";
