/**
 * What the scores take of each token: products of tokens with queries, and what is the same for all
 * queries. Tokens are decoded once for every query of the block.
 *
 * ```text
 * for a step of tokens:
 *   tile[token][k] = decode(tokens)                                 stream/tile/decode.ts
 *   raw[held][token][query] = Σ_k tile[token][k] · q[k][query]      micro.ts: 4 tokens × 8 queries
 * ```
 * @module
 */
import type { Term, TermOf } from "../../../dsl/core/term.ts";
import { type Arr, bin, type Expr, int, load, vec4 } from "../../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../../compiler/kernel.ts";
import { linear } from "../../../compiler/lower/memory.ts";
import { type HeldAxes, heldCount } from "../../../compiler/lower/row.ts";
import { queryAxis, sizeOf, type TileProduct, tileProduct } from "../../../compiler/lower/tile.ts";
import { multiply, ROWS, vectorsOf } from "../../micro.ts";
import { LANES } from "../tokens.ts";
import { decode, labelled, operandAt } from "./decode.ts";
import { padded, type Step, type Tile } from "./frame.ts";

type Product = Term & TermOf<"contract">;
type Moving = HeldAxes & { readonly token: number };

/** Held by token, and by query where it differs by query: `[held][token][query]`. */
const holdTokens = (
  b: Builder,
  tile: Tile,
  step: Step,
  term: Term,
  axes: Moving,
  arr: Arr,
): void => {
  const own = queryAxis(axes, tile.query);
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const at = (index: readonly Expr[]): Expr => {
    const token = bin("sub", index[axes.token], step.first);
    const inside = bin("mul", linear(dims, axes.held.map((a) => index[a])), int(tile.tokens));
    const place = bin("add", inside, token);
    return own < 0
      ? place
      : bin("add", bin("mul", place, int(tile.queries)), bin("sub", index[own], tile.first));
  };
  b.low.sources.set(term, {
    at: (index) => load(arr, at(index)),
    wide: (index, axis) => own >= 0 && axis === own ? load(arr, at(index), true) : undefined,
  });
};

/** Index of the term from held axes, a token and a query. */
const placeOf = (
  term: Term,
  { held, rowOf, token }: Moving,
  tile: Tile,
  inside: readonly Expr[],
  at: { readonly token: Expr; readonly query: Expr },
): Expr[] =>
  term.shape.map((_, a) =>
    a === token
      ? at.token
      : held.includes(a)
      ? inside[held.indexOf(a)]
      : rowOf[a] === tile.query
      ? at.query
      : tile.outer[rowOf[a]!]
  );

/** Tokens against queries, as two matrices. */
const matrices = (
  b: Builder,
  tile: Tile,
  step: Step,
  term: Product,
  axes: Moving,
  made: TileProduct,
  decoded: Arr,
  raw: Arr,
): void => {
  const { low } = b;
  const { gone, sizes, batch, tokens: side } = made;
  const { out, args } = term.labels;
  const batches = batch.map((l) => sizeOf(term, l));
  const held = axes.held.map((a) => out[a]);
  const inner = sizes.reduce((n, d) => n * d, 1);
  const count = inner * batches.reduce((n, d) => n * d, 1);
  const operand = (i: number, at: readonly (readonly [string, Expr])[]): Expr[] =>
    operandAt(term, axes, tile.outer, i, at);
  decode(b, step, {
    term: term.args[side],
    axis: args[side].indexOf(gone[gone.length - 1]),
    sizes: [...batches, ...sizes],
    index: (token, channels) =>
      operand(
        side,
        [...labelled([...batch, ...gone], channels), [out[axes.token], token]],
      ),
  }, decoded);
  const queryLabel = out[queryAxis(axes, tile.query)];
  const lanes = args[1 - side].indexOf(queryLabel);
  const vectors = vectorsOf(tile.queries);
  const blocks = tile.queries / (4 * vectors);
  const quads = bin("div", padded(step), int(ROWS));
  low.par("m", bin("mul", int(heldCount(term, axes) * blocks), quads), (m) => {
    const t = bin("mul", bin("rem", m, quads), int(ROWS));
    const rest = low.named("b", bin("div", m, quads));
    const j = bin("mul", bin("rem", rest, int(blocks)), int(4 * vectors));
    const h = bin("div", rest, int(blocks));
    const inside = unravel(h, held.map((l) => int(sizeOf(term, l))));
    const at = labelled(held, inside);
    const start = linear(batches.map(int), batch.map((l) => inside[held.indexOf(l)]));
    const row = bin("add", bin("mul", t, int(count)), bin("mul", start, int(inner)));
    const sums = multiply(low, {
      rows: ROWS,
      vectors,
      steps: int(inner),
      one: (i, k) => load(decoded, bin("add", bin("add", row, k), int(i * count))),
      four: (v, k) => {
        const query = bin("add", tile.first, bin("add", j, int(4 * v)));
        const where = operand(
          1 - side,
          [...at, ...labelled(gone, unravel(k, sizes.map(int))), [queryLabel, query]],
        );
        return low.wide(term.args[1 - side], where, lanes);
      },
    });
    const to = bin(
      "add",
      bin("mul", bin("add", bin("mul", h, int(tile.tokens)), t), int(tile.queries)),
      j,
    );
    sums.forEach((row, i) =>
      row.forEach((sum, v) => low.store(raw, bin("add", to, int(i * tile.queries + 4 * v)), sum))
    );
  });
};

/** What is no product of two matrices: a value a token, and a query where it differs by query. */
const single = (b: Builder, tile: Tile, step: Step, term: Term, axes: Moving, raw: Arr): void => {
  const { low } = b;
  const byQuery = queryAxis(axes, tile.query) >= 0;
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const fours = byQuery ? tile.queries / 4 : 1;
  low.par("s", bin("mul", step.count, int(heldCount(term, axes) * fours)), (s) => {
    const [rest, j] = [bin("div", s, int(fours)), bin("mul", bin("rem", s, int(fours)), int(4))];
    const t = bin("rem", rest, step.count);
    const h = bin("div", rest, step.count);
    const value = (k: number): Expr => {
      const query = bin("min", bin("add", tile.first, bin("add", j, int(k))), tile.last);
      const at = { token: bin("add", step.first, t), query };
      return low.at(term, placeOf(term, axes, tile, unravel(h, dims), at));
    };
    const place = bin("add", bin("mul", h, int(tile.tokens)), t);
    if (byQuery) {
      low.store(raw, bin("add", bin("mul", place, int(tile.queries)), j), vec4(LANES.map(value)));
    } else low.store(raw, place, value(0));
  });
};

/** Makes what changes with the token, for all tokens of a step. */
export const tokensOf = (b: Builder, plan: Plan, tile: Tile, step: Step, decoded: Arr): void => {
  for (const [term, axes] of plan.moving) {
    const byQuery = queryAxis(axes, tile.query) >= 0;
    const raw = b.local("raw", heldCount(term, axes) * tile.tokens * (byQuery ? tile.queries : 1));
    const made = tileProduct(term, axes, tile.query, plan.axes);
    if (made === undefined) single(b, tile, step, term, axes, raw);
    else matrices(b, tile, step, term as Product, axes, made, decoded, raw);
    holdTokens(b, tile, step, term, axes, raw);
  }
};
