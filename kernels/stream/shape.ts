/**
 * The frame of a streaming fold: what a group works on, where its parts lie, and how an index of the
 * scores or values is put together.
 * @module
 */
import type { Term, TermOf } from "../../dsl/core/term.ts";
import { countOf as countDims, type Sizes } from "../../dsl/core/shape.ts";
import { bin, type Expr, int, variable } from "../../compiler/ir/expr.ts";
import { GROUP } from "../../compiler/ir/stmt.ts";
import type { Builder, Context } from "../../compiler/kernel.ts";
import { unravel } from "../../compiler/kernel.ts";
import { countOf } from "../../compiler/lower/chunk.ts";
import { type StreamRoles, streamRoles } from "../../compiler/lower/roles.ts";

/** A streaming fold with its sizes. */
export interface Stream {
  readonly term: Term & TermOf<"fold">;
  readonly roles: StreamRoles;
  /** Tokens of one part. */
  readonly chunk: number;
  /** Rows that share the values. */
  readonly rows: number;
  readonly channels: number;
  /** Size of the last channel axis, 1 if there is none. */
  readonly inner: number;
  /** Floats of one part: the weighted sum, then m and l, padded to four. */
  readonly part: number;
  /** Where the parts lie between the kernels. */
  readonly scratch: string;
  readonly partWords: (sizes: Sizes) => number;
  readonly chunks: (sizes: Sizes) => number;
}

/** Looks at a streaming fold. */
export const streamOf = (fold: Term, context: Context): Stream => {
  const term = fold as Term & TermOf<"fold">;
  const roles = streamRoles(term);
  const chunk = context.chunkOf(fold);
  const rows = countOf(roles, roles.rows);
  const channels = countOf(roles, roles.channels);
  const last = roles.channels[roles.channels.length - 1];
  const part = Math.ceil((channels + 2) / 4) * 4;
  const outer = roles.outer.map(roles.dim);
  const chunks = (sizes: Sizes): number =>
    Math.ceil(countDims([roles.dim(roles.token)], sizes) / chunk);
  return {
    term,
    roles,
    chunk,
    rows,
    channels,
    inner: last === undefined ? 1 : roles.dim(last) as number,
    part,
    scratch: `parts${fold.id}`,
    partWords: (sizes) => countDims(outer, sizes) * Math.max(1, chunks(sizes)) * rows * part,
    chunks,
  };
};

/** Number of parts of one row, as an expression. */
export const chunksExpr = (b: Builder, { roles, chunk }: Stream): Expr =>
  bin("div", bin("add", b.size(roles.dim(roles.token)), int(chunk - 1)), int(chunk));

/** What one group works on. */
export interface Frame {
  /** Index of batch, unknown rows and unknown channels. */
  readonly outer: readonly Expr[];
  /** First token of the part. */
  readonly first: Expr;
  /** Tokens of the part. */
  readonly tokens: Expr;
  /** Last token of all. */
  readonly last: Expr;
  /** Where row r of the part is stored. */
  readonly base: (row: Expr) => Expr;
  /** Index of an operand (0 scores, 1 values) from row, token and channel. */
  readonly place: (operand: number, row: Expr, token: Expr, channel: Expr) => Expr[];
  /** The token that products held once a token are read at, within the part. */
  readonly here: { t: Expr };
  /** Axis of the token in an operand. */
  readonly tokenAxis: (operand: number) => number;
}

/** Parts that one group walks: what it stages serves them all. */
export const spanOf = (context: Context): number => context.target.partsPerGroup;

/** Groups of a row's parts. */
export const spansExpr = (b: Builder, stream: Stream, span: number): Expr =>
  bin("div", bin("add", chunksExpr(b, stream), int(span - 1)), int(span));

/** Index of batch, unknown rows and unknown channels that this group works on, and its first part. */
export const groupOf = (
  b: Builder,
  stream: Stream,
  span: number,
): { outer: Expr[]; flat: Expr; part: Expr } => {
  const { roles } = stream;
  const group = variable(GROUP, "i32", { lo: 0 });
  const spans = spansExpr(b, stream, span);
  const flat = bin("div", group, spans);
  return {
    outer: unravel(flat, b.low.dims(roles.outer.map(roles.dim))),
    flat,
    part: bin("mul", bin("rem", group, spans), int(span)),
  };
};

/** The frame of one part. */
export const frameOf = (
  b: Builder,
  stream: Stream,
  outer: readonly Expr[],
  flat: Expr,
  at: Expr,
): Frame => {
  const { term, roles, chunk, rows, part } = stream;
  const segment = bin("add", bin("mul", flat, chunksExpr(b, stream)), at);
  const first = bin("mul", at, int(chunk));
  const all = b.size(roles.dim(roles.token));
  const dims = (labels: readonly string[]): Expr[] =>
    labels.map((l) => int(roles.dim(l) as number));
  return {
    outer,
    first,
    tokens: bin("min", int(chunk), bin("sub", all, first)),
    last: bin("sub", all, int(1)),
    base: (row) => bin("mul", bin("add", bin("mul", segment, int(rows)), row), int(part)),
    place: (operand, row, token, channel) => {
      const inRow = unravel(row, dims(roles.rows));
      const inChannel = unravel(channel, dims(roles.channels));
      return term.labels.args[operand].map((l) =>
        l === roles.token
          ? token
          : roles.outer.includes(l)
          ? outer[roles.outer.indexOf(l)]
          : roles.rows.includes(l)
          ? inRow[roles.rows.indexOf(l)]
          : inChannel[roles.channels.indexOf(l)]
      );
    },
    here: { t: int(0) },
    tokenAxis: (operand) => term.labels.args[operand].indexOf(roles.token),
  };
};
