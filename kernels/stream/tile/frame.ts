/**
 * What a tile works on: a block of queries of every row, a few tokens at a time. Lanes run along
 * queries everywhere, so that rows of a block never meet and no sum goes across lanes.
 * @module
 */
import { type Arr, bin, type Expr, int } from "../../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../../compiler/kernel.ts";
import type { Stream, Sum } from "../shape.ts";

/** The tile of one group. */
export interface Tile {
  readonly stream: Stream;
  /** The label of the queries. */
  readonly label: string;
  /** Place of the query label among the outer ones. */
  readonly query: number;
  /** Queries of a block, tokens at a time, rows times queries. */
  readonly queries: number;
  readonly tokens: number;
  readonly cells: number;
  /** First query of the block, how many there are, the last one of all. */
  readonly first: Expr;
  readonly count: Expr;
  readonly last: Expr;
  /** Index of batch, unknown rows and unknown channels; the query's place holds the first one. */
  readonly outer: readonly Expr[];
  /** Index along labels, at a query and a token. */
  readonly index: (labels: readonly string[], at: Place, sum?: Sum) => Expr[];
  /** Index along the channels of a sum. */
  readonly channels: (sum: Sum, channel: Expr) => Expr[];
}

/** A place in a tile. */
export interface Place {
  readonly row?: Expr;
  readonly query: Expr;
  readonly token: Expr;
  readonly channels?: readonly Expr[];
}

/** The tokens of one step: the first one and how many. */
export interface Step {
  readonly first: Expr;
  readonly count: Expr;
  readonly last: Expr;
}

/** Sums of all rows of a block: `[channel][row][query]`, and their scores' m, l and the last factor. */
export interface Sums {
  readonly o: readonly Arr[];
  readonly m: Arr;
  readonly l: Arr;
  readonly factor: Arr;
}

/** The tile of a group from its outer index, whose query place counts blocks. */
export const tileOf = (
  b: Builder,
  plan: Plan,
  stream: Stream,
  outerBlocks: readonly Expr[],
): Tile => {
  const { low } = b;
  const { roles, rows } = stream;
  const { label, queries, tokens } = plan.block!;
  const query = roles.outer.indexOf(label);
  const all = b.size(roles.dim(label));
  const first = low.named("query", bin("mul", outerBlocks[query], int(queries)));
  const outer = outerBlocks.map((e, i) => i === query ? first : e);
  const rowDims = roles.rows.map((l) => int(roles.dim(l) as number));
  return {
    stream,
    label,
    query,
    queries,
    tokens,
    cells: rows,
    first,
    count: bin("min", int(queries), bin("sub", all, first)),
    last: bin("sub", all, int(1)),
    outer,
    channels: ({ channels, dim }, at) => unravel(at, channels.map((l) => int(dim(l) as number))),
    index: (labels, at, sum) => {
      const inRow = unravel(at.row ?? int(0), rowDims);
      return labels.map((l) =>
        l === roles.token
          ? at.token
          : l === label
          ? at.query
          : roles.outer.includes(l)
          ? outer[roles.outer.indexOf(l)]
          : roles.rows.includes(l)
          ? inRow[roles.rows.indexOf(l)]
          : at.channels![sum!.channels.indexOf(l)]
      );
    },
  };
};

/** Tokens of a step up to a multiple of four. */
export const padded = ({ count }: Step): Expr =>
  bin("mul", bin("div", bin("add", count, int(3)), int(4)), int(4));
