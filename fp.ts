/**
 * The only file that names fp-ts: a later move touches this file alone. Its functions come as a module of
 * the language, and the four of `Either` stand here over its type: what `fp-ts/lib` holds is CommonJS,
 * and starting that takes a fifth of a script's time in Deno.
 * @module
 */
import type { Either } from "fp-ts/lib/Either.js";

export { flow, pipe } from "fp-ts/es6/function.js";
export type { Either };
export type { Monoid } from "fp-ts/lib/Monoid.js";

/** What went wrong. */
export const left = <E = never, A = never>(left: E): Either<E, A> => ({ _tag: "Left", left });

/** What was made. */
export const right = <A = never, E = never>(right: A): Either<E, A> => ({ _tag: "Right", right });

/** Did it go wrong? */
export const isLeft = <E, A>(
  either: Either<E, A>,
): either is Extract<Either<E, A>, { _tag: "Left" }> => either._tag === "Left";

/** Was it made? */
export const isRight = <E, A>(
  either: Either<E, A>,
): either is Extract<Either<E, A>, { _tag: "Right" }> => either._tag === "Right";
