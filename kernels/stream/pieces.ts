/**
 * Pieces of the tokens: each run of them that is stored in its own way has folds and loops of its own, one
 * after the other in the same group; parts count through all of them, so that one merge joins them.
 * @module
 */
import type { Term } from "../../dsl/core/term.ts";
import { bin, type Expr, int } from "../../compiler/ir/expr.ts";
import type { Builder, Context, Plan } from "../../compiler/kernel.ts";
import { chunksExpr, type Stream, streamOf } from "./shape.ts";

/** A run of the tokens with folds of its own. */
export interface Piece {
  readonly plan: Plan;
  readonly stream: Stream;
}

/** The pieces of a plan's tokens, first to last. */
export const piecesOf = (plan: Plan, context: Context): Piece[] =>
  (plan.pieces ?? [plan]).map((own) => ({ plan: own, stream: streamOf(own, context) }));

/** Scores and values of all pieces. */
export const operandsOf = (pieces: readonly Piece[]): Term[] =>
  pieces.flatMap(({ stream: { scores, sums } }) => [scores, ...sums.map((s) => s.term.args[1])]);

/**
 * Each piece with those of its chunks that lie between two of all chunks, and the number of chunks before
 * it: no chunk is asked to which piece it belongs.
 *
 * ```text
 * for chunk = max(from − before, 0) … min(to − before, its chunks)
 * ```
 */
export const eachPiece = (
  b: Builder,
  pieces: readonly Piece[],
  from: Expr,
  to: Expr,
  body: (piece: Piece, from: Expr, to: Expr, before: Expr) => void,
): void => {
  let before: Expr = int(0);
  b.inTurn(pieces.map((piece, i) => (): void => {
    const count = chunksExpr(b, piece.stream);
    const own = pieces.length === 1 ? count : b.low.named("chunks", count);
    const start = i === 0 ? from : bin("max", bin("sub", from, before), int(0));
    body(piece, start, bin("min", bin("sub", to, before), own), before);
    before = bin("add", before, own);
  }));
};
