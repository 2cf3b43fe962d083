/**
 * The frame of streaming folds: what a group works on, where its parts lie, and how an index of the
 * scores or values is put together.
 * @module
 */
import type { Dim, Term } from "../../dsl/core/term.ts";
import { countOf as countDims, type Sizes } from "../../dsl/core/shape.ts";
import { bin, type Expr, int, node, variable } from "../../compiler/ir/expr.ts";
import { GROUP } from "../../compiler/ir/stmt.ts";
import { type Builder, type Context, type Plan, unravel } from "../../compiler/kernel.ts";
import { linear } from "../../compiler/lower/memory.ts";
import {
  countOf,
  innerOf,
  type Member,
  type StreamRoles,
  streamRoles,
} from "../../compiler/lower/roles.ts";

/** One of the weighted sums of a stream. */
export interface Sum extends Member {
  /** Number of channels. */
  readonly count: number;
  /** Size of the last channel axis, 1 if there is none. */
  readonly inner: number;
  /** Where the sum begins in a row of a part. */
  readonly at: number;
  /** For each row, the first row that has the same values. */
  readonly like: readonly number[];
}

/** Streaming folds over the same scores, with their sizes. */
export interface Stream {
  readonly scores: Term;
  readonly roles: StreamRoles;
  readonly sums: readonly Sum[];
  /** Tokens of one part; the fewest of any piece. */
  readonly chunk: number;
  /** Rows of one group; where it takes a block of queries, all of them. */
  readonly rows: number;
  /** Queries of a block, 1 where each is a group of its own, and the label they run along. */
  readonly queries: number;
  readonly query: string | undefined;
  /** Floats of a row of a part: the weighted sums, then m and l, padded to four. */
  readonly part: number;
  /** Where m lies in a row of a part; l is next to it. */
  readonly peak: number;
  /** Where the parts lie between the kernels. */
  readonly scratch: string;
  readonly partWords: (sizes: Sizes) => number;
  /** Groups of rows, each with parts of its own. */
  readonly groups: (sizes: Sizes) => number;
  readonly chunks: (sizes: Sizes) => number;
  /** How many tokens each piece has, and how many of them are a chunk. */
  readonly runs: readonly { readonly tokens: Dim; readonly chunk: number }[];
  /** Chunks of one part. */
  readonly each: (sizes: Sizes) => number;
  /** Parts of a row that are stored. */
  readonly parts: (sizes: Sizes) => number;
  /** Parts that are wanted of a row; 0 where each chunk is a part. */
  readonly splits: number;
}

/** Chunks that one group takes into one part: so often its weights are scaled again (`Machine.merges`). */
const WALKED = 8;

/** Parts are merged once for every result: a CPU wants this share of those that keep a GPU busy. */
const FEWER = 8;

const upTo = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** Positions of each row along the row labels that the values have. */
const likeOf = (roles: StreamRoles, { values }: Member): number[] => {
  const dims = roles.rows.map((l) => roles.dim(l) as number);
  const keys = Array.from({ length: dims.reduce((n, d) => n * d, 1) }, (_, r) => {
    let rest = r;
    const at = dims.map(() => 0);
    for (let i = dims.length - 1; i >= 0; i--) {
      at[i] = rest % dims[i];
      rest = Math.floor(rest / dims[i]);
    }
    return at.filter((_, i) => values.includes(roles.rows[i])).join();
  });
  return keys.map((key) => keys.indexOf(key));
};

/** Looks at the streaming folds of a plan. */
export const streamOf = (plan: Plan, context: Context): Stream => {
  const { roots, tile: chunk, block } = plan;
  const roles = streamRoles(roots as readonly Member["term"][]);
  const queries = block?.queries ?? 1;
  const rows = countOf(roles, roles.rows) * queries;
  const sums: Sum[] = [];
  let peak = 0;
  for (const member of roles.members) {
    const [count, inner] = [countOf(member, member.channels), innerOf(member)];
    // Sums of whole vectors lie where vectors begin.
    const at = inner % 4 === 0 ? upTo(peak, 4) : peak;
    sums.push({ ...member, count, inner, at, like: likeOf(roles, member) });
    peak = at + count;
  }
  const part = upTo(peak + 2, 4);
  const groups = (sizes: Sizes): number =>
    roles.outer.reduce((n, l) => {
      const size = countDims([roles.dim(l)], sizes);
      return n * (l === block?.label ? Math.ceil(size / queries) : size);
    }, 1);
  const runs = (plan.pieces ?? [plan]).map((piece) => {
    const { dim, token } = streamRoles(piece.roots as readonly Member["term"][]);
    return { tokens: dim(token), chunk: piece.tile };
  });
  const chunks = (sizes: Sizes): number =>
    runs.reduce((n, run) => n + Math.ceil(countDims([run.tokens], sizes) / run.chunk), 0);
  const { serial } = context.target;
  const wanted = context.schedule.splits;
  const splits = block !== undefined ? 0 : serial ? Math.ceil(wanted / FEWER) : wanted;
  const each = (sizes: Sizes): number =>
    splits === 0 ? 1 : Math.max(1, Math.min(WALKED, Math.ceil(chunks(sizes) / splits)));
  const parts = (sizes: Sizes): number => Math.ceil(chunks(sizes) / each(sizes));
  return {
    scores: sums[0].term.args[0],
    roles,
    sums,
    chunk,
    rows,
    part,
    peak,
    scratch: `parts${roots[0].id}`,
    partWords: (sizes) => groups(sizes) * Math.max(1, parts(sizes)) * rows * part,
    queries,
    query: block?.label,
    groups,
    chunks,
    runs,
    each,
    parts,
    splits,
  };
};

/** Sizes of the labels that tell groups of rows apart: of the queries, the number of blocks. */
export const groupDims = (b: Builder, { roles, query, queries }: Stream): Expr[] =>
  roles.outer.map((l) => {
    const size = b.size(roles.dim(l));
    return l === query ? bin("div", bin("add", size, int(queries - 1)), int(queries)) : size;
  });

/** Which group of rows holds a result, and which of its rows, from the index along its labels. */
export const rowOf = (
  b: Builder,
  stream: Stream,
  index: (label: string) => Expr,
): { group: Expr; row: Expr } => {
  const { roles, query, queries } = stream;
  const outer = roles.outer.map((l) => l === query ? bin("div", index(l), int(queries)) : index(l));
  const row = linear(roles.rows.map((l) => int(roles.dim(l) as number)), roles.rows.map(index));
  return {
    group: linear(groupDims(b, stream), outer),
    row: query === undefined
      ? row
      : bin("add", bin("mul", row, int(queries)), bin("rem", index(query), int(queries))),
  };
};

/** Number of chunks of one row, as an expression. */
export const chunksExpr = (b: Builder, { runs }: Stream): Expr =>
  runs.map(({ tokens, chunk }) =>
    bin("div", bin("add", b.size(tokens), int(chunk - 1)), int(chunk))
  ).reduce((n, own) => bin("add", n, own));

/** Chunks that one group takes into a part. */
export const walkedExpr = (b: Builder, stream: Stream): Expr => {
  const { splits } = stream;
  if (splits === 0) return int(1);
  const share = bin("div", bin("add", chunksExpr(b, stream), int(splits - 1)), int(splits));
  return bin("max", bin("min", share, int(WALKED)), int(1));
};

/** Number of parts of one row, as an expression. */
export const partsExpr = (b: Builder, stream: Stream): Expr => {
  const chunks = chunksExpr(b, stream);
  if (stream.splits === 0) return chunks;
  const each = walkedExpr(b, stream);
  return bin("div", bin("add", chunks, bin("sub", each, int(1))), each);
};

/** What one group works on. */
export interface Frame {
  /** Index of batch, unknown rows and unknown channels. */
  readonly outer: readonly Expr[];
  /** First token of the part. */
  readonly first: Expr;
  /** Tokens of the part. */
  readonly tokens: Expr;
  /** Where the part begins in what is held of a chunk: 0 if it is the chunk. */
  readonly from: Expr;
  /** Last token of all. */
  readonly last: Expr;
  /** Where row r of the part is stored. */
  readonly base: (row: Expr) => Expr;
  /** Index of a score from row and token. */
  readonly score: (row: Expr, token: Expr) => Expr[];
  /** Index of a value from row, token and channel. */
  readonly value: (sum: Sum, row: Expr, token: Expr, channel: Expr) => Expr[];
  /** The token that products held once a token are read at, within the part. */
  readonly here: { t: Expr };
  /** Lanes that share loops over tokens; one where a group has no lanes. */
  readonly lanes: number;
  /** What a row of the part was multiplied by when its largest score grew. */
  readonly fade: (row: Expr) => Expr;
}

/** Steps of four tokens of this part. */
export const quads = (frame: Frame): Expr => bin("div", bin("add", frame.tokens, int(3)), int(4));

/** Tokens of this part, up to a multiple of a unit. */
export const padded = (frame: Frame, unit: number): Expr =>
  bin("mul", bin("div", bin("add", frame.tokens, int(unit - 1)), int(unit)), int(unit));

/** Chunks that one group walks: what it stages serves them all. */
export const spanOf = (context: Context): number => context.target.partsPerGroup;

/** Groups of a kernel that walks this many chunks in each, or one part. */
export const groupsOf = (stream: Stream, span: number) => (sizes: Sizes): number =>
  stream.groups(sizes) *
  Math.ceil(stream.parts(sizes) / Math.max(1, Math.floor(span / stream.each(sizes))));

/** Index of batch, unknown rows and unknown channels that this group works on, and its parts. */
export const groupOf = (
  b: Builder,
  stream: Stream,
  span: number,
): { outer: Expr[]; flat: Expr; from: Expr; to: Expr } => {
  // Rows come before parts: what lies side by side for several heads is met while it is close.
  const group = variable(GROUP, "i32", { lo: 0 });
  const dims = groupDims(b, stream);
  const all = dims.reduce((n, d) => bin("mul", n, d), int(1));
  const flat = bin("rem", group, all);
  const each = walkedExpr(b, stream);
  const many = each.op === "const" ? int(span) : bin("max", bin("div", int(span), each), int(1));
  const from = bin("mul", bin("div", group, all), many);
  const to = bin("min", bin("add", from, many), partsExpr(b, stream));
  return { outer: unravel(flat, dims), flat, from, to };
};

/** The same for groups side by side: which of those that share an index this one is. */
export const memberOf = (
  b: Builder,
  stream: Stream,
  groups: Expr,
): { outer: Expr[]; flat: Expr; nth: Expr } => {
  const group = variable(GROUP, "i32", { lo: 0 });
  const flat = bin("div", group, groups);
  return {
    outer: unravel(flat, groupDims(b, stream)),
    flat,
    nth: bin("rem", group, groups),
  };
};

/** The frame of one chunk, but for where its part lies. */
export const frameOf = (
  b: Builder,
  stream: Stream,
  outer: readonly Expr[],
  at: Expr,
): Omit<Frame, "base" | "fade" | "lanes"> => {
  const { roles, chunk } = stream;
  const first = bin("mul", at, int(chunk));
  const all = b.size(roles.dim(roles.token));
  const rowDims = roles.rows.map((l) => int(roles.dim(l) as number));
  const place = (
    labels: readonly string[],
    row: Expr,
    token: Expr,
    inChannel: (label: string) => Expr,
  ): Expr[] => {
    const inRow = unravel(row, rowDims);
    return labels.map((l) =>
      l === roles.token
        ? token
        : roles.outer.includes(l)
        ? outer[roles.outer.indexOf(l)]
        : roles.rows.includes(l)
        ? inRow[roles.rows.indexOf(l)]
        : inChannel(l)
    );
  };
  return {
    outer,
    first,
    // A chunk has some: where in a run a token lies is known by it.
    tokens: node("min", "i32", [int(chunk), bin("sub", all, first)], { lo: 0, hi: chunk }),
    from: int(0),
    last: bin("sub", all, int(1)),
    score: (row, token) => place(roles.scores, row, token, () => int(0)),
    value: ({ values, channels, dim }, row, token, channel) => {
      const inside = unravel(channel, channels.map((l) => int(dim(l) as number)));
      return place(values, row, token, (l) => inside[channels.indexOf(l)]);
    },
    here: { t: int(0) },
  };
};
