/**
 * What is known of the tokens of a term: which linear map of which vectors they are, and how far off they may be.
 *
 * ```text
 * token = base · matrix + e           x, x less its mean, or what an own size was taken of; one matrix a head
 * token = base / s · matrix + e       s the root mean square of base: a vector of length √n
 * ```
 * @module
 */
import type { Term } from "../core/term.ts";
import { svd } from "../read/linalg.ts";
import { type Cells, worstOf } from "./cells.ts";

/** Relative to a vector's length, and beside that. */
export interface Off {
  readonly relative: number;
  readonly least: number;
}

/** Vectors, a token each. */
export interface Base {
  readonly term: Term;
  /** The length of all of them against x, and of one against the longest token of x. */
  readonly size: Off;
  readonly longest: number;
}

/** Cells, and which coordinates of them the columns are. */
export interface Coded extends Cells {
  readonly sides: readonly number[];
}

/** Tokens; see the head of the file. */
export interface Row {
  readonly base: Base;
  /** One a head, with as many rows as the base has columns. */
  readonly matrix: readonly Float64Array[];
  readonly columns: number;
  /** What the base is divided by. */
  readonly by: Term | undefined;
  /** 2-norm of e: against the base; where that is divided in numbers, and over what it is divided by. */
  readonly off: Off;
  /** What columns were rounded to, by the code: not in `off` yet. */
  readonly codes: ReadonlyMap<Term, Coded>;
}

/** What the rules share. */
export interface Claiming {
  readonly x: Term;
  readonly heads: number;
  /** What is known of the tokens of a term, if anything is. */
  readonly of: (t: Term) => Row | undefined;
  /** Are the first axes of a term those of x: heads and tokens? */
  readonly leads: (t: Term) => boolean;
  /** Behind views that keep a token's numbers in their order, parts of a cache side by side included. */
  readonly seen: (t: Term) => Term;
  /** Says that a half is stored which is up to this for tokens of length 1. */
  readonly limit: (size: number) => void;
}

/** What a stored half is off, relative and at least, and the largest there is. */
export const HALF = { relative: 2 ** -11, least: 2 ** -25, most: 65504 } as const;

/** What tables and reciprocals of f32 may be off, and the singular values of f64. */
export const SLACK = 1 + 2 ** -18;

export const NONE: Off = { relative: 0, least: 0 };

export const plus = (a: Off, b: Off): Off => ({
  relative: a.relative + b.relative,
  least: a.least + b.least,
});

export const scaled = ({ relative, least }: Off, by: number): Off => ({
  relative: relative * by,
  least: least * by,
});

/** Numbers of one token. */
export const columnsOf = ({ shape }: Term): number =>
  shape.slice(2).reduce<number>((n, d) => n * (d as number), 1);

const identity = (n: number): Float64Array =>
  Float64Array.from({ length: n * n }, (_, k) => k % (n + 1) === 0 ? 1 : 0);

/** The vectors of a base as they are. */
export const own = (base: Base, heads: number, by?: Term): Row => {
  const columns = columnsOf(base.term);
  const matrix = Array.from({ length: heads }, () => identity(columns));
  return { base, matrix, columns, by, off: NONE, codes: new Map() };
};

/** Largest singular value of any of some matrices with so many columns. */
export const spectral = (matrices: readonly Float64Array[], cols: number): number =>
  SLACK * Math.max(...[...new Set(matrices)].map((m) => {
    const rows = m.length / cols;
    const across = Float64Array.from(m, (_, k) => m[(k % rows) * cols + Math.floor(k / rows)]);
    const tall = rows >= cols ? { rows, cols, data: m } : { rows: cols, cols: rows, data: across };
    return svd(tall).s[0];
  }));

/** How far matrices are from leaving vectors as they are. */
export const moved = ({ matrix, columns }: Row): number => {
  const apart = matrix.map((m) => m.map((v, k) => v - (k % (columns + 1) === 0 ? 1 : 0)));
  return apart.every((m) => m.every((v) => v === 0)) ? 0 : spectral(apart, columns);
};

/** a·b, where b has so many rows and columns. */
const product = (a: Float64Array, b: Float64Array, rows: number, columns: number): Float64Array => {
  const out = new Float64Array(a.length / rows * columns);
  for (let i = 0; i < a.length / rows; i++) {
    for (let k = 0; k < rows; k++) {
      const v = a[i * rows + k];
      if (v !== 0) {
        for (let j = 0; j < columns; j++) out[i * columns + j] += v * b[k * columns + j];
      }
    }
  }
  return out;
};

/** The same over the rows that the base itself is. */
export const rebased = (r: Row, made: Row | undefined): Row => {
  if (made === undefined) return r;
  const matrix = r.matrix.map((m, h) => product(made.matrix[h], m, made.columns, r.columns));
  const size = spectral(made.matrix, made.columns);
  const off = { ...r.off, relative: r.off.relative * size };
  return { ...r, base: made.base, matrix, off };
};

/** What rounding to points costs, all codes together, is in `off`. */
export const settled = (r: Row): Row => {
  if (r.codes.size === 0) return r;
  const cells = [...r.codes.values()];
  // Of a cell that is not there whole the length is not known.
  if (cells.some(({ points, sides }) => sides.length < points[0].length)) {
    return { ...r, off: { relative: Infinity, least: 0 }, codes: new Map() };
  }
  const size = spectral(r.matrix, r.columns) * Math.sqrt(columnsOf(r.base.term));
  // A stored size that is smaller by HALF.least makes vectors longer by that over it, and errors by no more.
  const far = {
    relative: worstOf(cells, size * (1 + 2 * HALF.relative)),
    least: size * HALF.least,
  };
  return { ...r, off: plus(r.off, far), codes: new Map() };
};
