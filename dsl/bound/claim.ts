/**
 * What a program loses of its input at most, whatever that is: known before a number is read.
 *
 * ```text
 * ‖x − x̂‖ ≤ relative·‖x‖ + least·√tokens,  for every x of which no token is longer than `upTo`
 * ```
 *
 * A reading of the term of x̂. What follows the channels of a token is a matrix of them, found by reading the
 * nodes at the rows of a matrix: views, products with what no input changes, sums. Beside that:
 *
 * ```text
 * y = z / s, s its own root mean square     ‖y‖ = √n, whatever z is (and s as it is stored)
 * table[code of y]                          y + e, ‖e‖ at most what y of that length can be off (`cells.ts`)
 * ·s                                        z + s·e, ‖s·e‖ ≤ ‖e‖ / √n · ‖z‖
 * ·(s·√n / ‖table[code]‖)                   as long as z: off by a chord, not by ‖e‖
 * r = x − mean over tokens                  ‖r‖ ≤ ‖x‖: a projection
 * ```
 *
 * A term that is none of these has no claim.
 * @module
 */
import { input, map } from "../core/build.ts";
import { anywhere } from "../core/codes.ts";
import { isPacked } from "../core/dtype.ts";
import { HELD, held } from "../core/held.ts";
import { placeIn } from "../core/gaps.ts";
import { argsOf, type Shape, type Term, type TermOf, topological, withArgs } from "../core/term.ts";
import { nearestIn } from "../quantize/grid.ts";
import { rootMeanSquare } from "../quantize/scope.ts";
import { evalAll } from "../read/eval.ts";
import { svd } from "../read/linalg.ts";
import { type Cells, worstOf } from "./cells.ts";

/** What is claimed of every tensor; see the head of the file. */
export interface Claim {
  /** The error relative to the tensor, both in 2-norm. */
  readonly relative: number;
  /** What is added for each token: where a stored number is too small to be exact. */
  readonly least: number;
  /** The longest token whose stored numbers are in the range of their type. */
  readonly upTo: number;
}

/** Relative to a base, and beside that. */
interface Off {
  readonly relative: number;
  readonly least: number;
}

/** Vectors whose length is known: a base, or what it is over its own size. */
interface Base {
  readonly term: Term;
  /** ‖base‖ against ‖x‖, for the whole tensor; and of one token against the longest of x. */
  readonly size: Off;
  readonly longest: number;
}

/** (base · matrix + e) a token; of a base over its size also what it is coded by, column by column. */
interface Row {
  readonly base: Base;
  /** One matrix a head, d rows. */
  readonly matrix: readonly Float64Array[];
  readonly columns: number;
  /** What the base is divided by. */
  readonly by: Term | undefined;
  /** Of a base that is not divided relative to it; else in numbers. */
  readonly off: Off;
  /** Codes that were not summed yet: cells of which points are known, by the code. */
  readonly codes: ReadonlyMap<Term, Coded>;
}

/** Cells, and which coordinates of them the columns are. */
interface Coded extends Cells {
  readonly sides: readonly number[];
}

const U16 = 2 ** -11;
const LEAST16 = 2 ** -25;
const MOST16 = 65504;
/** What tables and reciprocals in f32 may be off, and evaluation in f64. */
const SLACK = 1 + 2 ** -18;

const given = anywhere((t) => t.tag === "input");
const plus = (a: Off, b: Off): Off => ({
  relative: a.relative + b.relative,
  least: a.least + b.least,
});
const scaled = (a: Off, by: number): Off => ({ relative: a.relative * by, least: a.least * by });
const NONE: Off = { relative: 0, least: 0 };

/** Largest singular value of any of some matrices of n columns. */
const spectral = (matrices: readonly Float64Array[], cols: number): number =>
  Math.max(...matrices.map((data) => {
    const rows = data.length / cols;
    const tall = rows >= cols;
    const turned = tall
      ? data
      : Float64Array.from(data, (_, k) => data[(k % rows) * cols + Math.floor(k / rows)]);
    return svd({ rows: Math.max(rows, cols), cols: Math.min(rows, cols), data: turned }).s[0];
  })) * SLACK;

/** The claim of x̂ = back, of x; nothing where a part of it is not understood. */
export const claimOf = (x: Term, back: Term): Claim | undefined => {
  const [heads, tokens, width] = x.shape as readonly [number, string, number];
  let upTo = Infinity;
  const limit = (size: number): void => void (upTo = Math.min(upTo, MOST16 / size));
  const leads = (t: Term): boolean =>
    t.shape.length > 1 && t.shape[0] === heads && t.shape[1] === tokens;
  const whole: Base = { term: x, size: { relative: 1, least: 0 }, longest: 1 };
  const own = (base: Base): Row => {
    const n = base.term.shape.slice(2).reduce<number>((n, d) => n * (d as number), 1);
    const unit = Float64Array.from({ length: n * n }, (_, k) => k % (n + 1) === 0 ? 1 : 0);
    const matrix = Array.from({ length: heads }, () => unit);
    return { base, matrix, columns: n, by: undefined, off: NONE, codes: new Map() };
  };
  const rowsIn = (t: Term): number =>
    t.shape.slice(2).reduce<number>((n, d) => n * (d as number), 1);

  /** One number a token, behind views that repeat it. */
  const scalar = (t: Term): Term | undefined => {
    if (!leads(t)) return undefined;
    if (t.shape.slice(2).every((d) => d === 1) && t.tag !== "reshape" && t.tag !== "broadcast") {
      return t;
    }
    if (t.tag === "reshape") return scalar(t.args[0]);
    if (t.tag === "broadcast" && t.axes[0] === 0 && t.axes[1] === 1) return scalar(t.args[0]);
    return undefined;
  };
  const rms = (z: Term): Term => rootMeanSquare(z, { view: z.shape, axes: [z.shape.length - 1] });
  const uncast = (t: Term): Term => t.tag === "cast" && t.dtype === "f16" ? t.args[0] : t;
  /** Behind views of a whole token. */
  const seen = (t: Term): Term => t.tag === "reshape" && leads(t.args[0]) ? seen(t.args[0]) : t;

  /** Codes are settled: what they may be off all together. */
  const settled = (r: Row): Row => {
    if (r.codes.size === 0) return r;
    const n = rowsIn(r.base.term);
    // Of a cell that is not there whole its length is not known.
    const all = [...r.codes.values()].every(({ points, sides }) =>
      sides.length === points[0].length
    );
    if (!all) return { ...r, off: { relative: Infinity, least: 0 }, codes: new Map() };
    const length = spectral(r.matrix, r.columns) * Math.sqrt(n) * (1 + 2 * U16);
    const far = worstOf([...r.codes.values()], length);
    // A stored size that is too small by LEAST16 makes y longer by that over the size: off by that more.
    const off = { relative: far, least: spectral(r.matrix, r.columns) * Math.sqrt(n) * LEAST16 };
    return { ...r, off: plus(r.off, off), codes: new Map() };
  };

  /** The same over the rows that a base is made of. */
  const rebased = (r: Row): Row => {
    const made = rows.get(r.base.term);
    if (r.by !== undefined || made === undefined || made.base === r.base) return r;
    const m = r.matrix.map((b, h) => multiply(made.matrix[h], made.columns, b, r.columns));
    const size = spectral(made.matrix, made.columns);
    return { ...r, base: made.base, matrix: m, off: { ...r.off, relative: r.off.relative * size } };
  };

  const rows = new Map<Term, Row>();
  const linear = (t: Term, at: number, r: Row): Row => {
    const before = settled(r);
    const arg = argsOf(t)[at];
    const stand = input("rows of a matrix", arg.shape, "f32");
    const node = withArgs(t, argsOf(t).map((a, i) => i === at ? stand : a));
    const through = (matrix: readonly Float64Array[], count: number): Float64Array[] => {
      const data = new Float64Array(heads * matrix[0].length);
      matrix.forEach((m, h) => data.set(m, h * m.length));
      const env = { sizes: { [tokens]: count }, inputs: { "rows of a matrix": data } };
      const [out] = evalAll([node], env);
      const size = out.data.length / heads;
      return matrix.map((_, h) => Float64Array.from(out.data.subarray(h * size, (h + 1) * size)));
    };
    const columns = rowsIn(t);
    const matrix = through(before.matrix, before.matrix[0].length / before.columns);
    const has = before.off.relative > 0 || before.off.least > 0;
    const by = has
      ? spectral(through(own({ ...whole, term: arg }).matrix, rowsIn(arg)), columns)
      : 0;
    return { ...before, matrix, columns, off: scaled(before.off, by) };
  };

  /** What a code stands for: the nearest of some points, of some columns of y. */
  const looked = (t: TermOf<"gather">): Row | undefined => {
    const [rowsOf, index] = t.args;
    const code = seen(index);
    if (code.tag !== "cast" || !isPacked(code.dtype)) return undefined;
    const [place] = code.args;
    if (rowsOf.tag === "table") {
      const { values } = rowsOf;
      const point = pointed(values, code);
      if (point !== undefined) return point;
      const levels = values.filter((v, i) => i === 0 || v > values[i - 1]);
      const y = topological([place]).find((s) =>
        s.tag === "map" && s.op === "sub" && placeIn(levels.map(Math.fround), s.args[0]) === place
      );
      const row = y && of(argsOf(y)[0]);
      if (row?.by === undefined || row.codes.size > 0) return undefined;
      const cells = { count: row.columns, points: levels.map((v) => [v]), sides: [0] };
      return { ...row, codes: new Map([[code, cells]]) };
    }
    return undefined;
  };
  /** One coordinate of the nearest of some points of a plane. */
  const pointed = (values: readonly number[], code: TermOf<"cast">): Row | undefined => {
    const found = nearestIn(code.args[0]);
    if (found === undefined) return undefined;
    const { points } = found;
    const side = [0, 1].find((i) =>
      points.every((p, k) => Math.abs(p[i] - values[k]) <= 2 ** -22 * Math.abs(p[i]))
    );
    const row = side === undefined ? undefined : of(found.of[side]);
    if (row?.by === undefined || row.codes.size > 0) return undefined;
    return {
      ...row,
      codes: new Map([[code as Term, { count: row.columns, points, sides: [side!] }]]),
    };
  };
  const divided = (t: TermOf<"map">): Row | undefined => {
    const [z, s] = t.args;
    const row = of(z);
    const size = scalar(s);
    if (row === undefined || size === undefined || row.by !== undefined || row.codes.size > 0) {
      return undefined;
    }
    const stored = uncast(size);
    if ((stored !== rms(z) && stored !== held(rms(z))) || row.off.relative > 0) return undefined;
    const n = rowsIn(z);
    const longest = spectral(row.matrix, row.columns) * row.base.longest;
    if (stored !== size) limit(longest / Math.sqrt(n));
    rows.set(z, row);
    const base: Base = { term: z, size: row.base.size, longest };
    return { ...own(base), by: size };
  };

  const product = (t: TermOf<"map">): Row | undefined => {
    for (const [a, b] of [t.args, [t.args[1], t.args[0]]]) {
      const size = scalar(b);
      const row = of(a);
      if (row?.by === undefined || size === undefined) continue;
      const n = rowsIn(row.base.term);
      if (size === row.by) {
        const { relative, least } = settled(row).off;
        // s ≤ (1 + u)·‖z‖/√n + 2^-25.
        const off = {
          relative: relative * (1 + U16) / Math.sqrt(n),
          least: relative * LEAST16 + least,
        };
        return rebased({ ...row, by: undefined, codes: new Map(), off });
      }
      return kept(row, a, size, n);
    }
    return undefined;
  };
  /** A size that makes what is looked up as long as what was coded. */
  const kept = (row: Row, entries: Term, size: Term, n: number): Row | undefined => {
    const ratio = uncast(size);
    const looked = seen(entries);
    const [cells] = row.codes.values();
    if (ratio.tag !== "map" || ratio.op !== "div" || row.codes.size !== 1) return undefined;
    if (ratio.args[0] !== rms(row.base.term) || looked.tag !== "gather") return undefined;
    const norm = ratio.args[1];
    const peak = Math.max(...cells.points.flat().map((v) => Math.abs(Math.fround(v))));
    // √(mean of squares of entries), by a table of squares over the largest.
    const squares = topological([norm]).find((s) => s.tag === "gather");
    const rooted = squares?.tag === "gather" && seen(squares.args[1]) === seen(looked.args[1]) &&
      looked.args[0].tag === "table" && squares.args[0].tag === "table" &&
      areSquares(squares.args[0].values, looked.args[0].values, peak) &&
      rootOfMean(norm, squares, peak);
    if (!rooted) return undefined;
    const { relative: far } = settled(row).off;
    const share = far / Math.sqrt(n);
    const even = cells.points.every(([v]) => cells.points.some(([w]) => w === -v));
    // cos of the angle between y and its entries; of one sign, column by column, it is not negative.
    const cos = share < 1 ? Math.sqrt(1 - share * share) : even ? 0 : -1;
    const chord = Math.sqrt(2 - 2 * cos) + U16;
    const least = Math.min(...cells.points.flat().map(Math.abs));
    limit(row.base.longest / Math.sqrt(n) / least);
    const off = { relative: chord, least: Math.sqrt(n) * (LEAST16 * peak + 4 * HELD[0]) };
    return rebased({ ...row, by: undefined, codes: new Map(), off });
  };
  const rootOfMean = (norm: Term, squares: Term, peak: number): boolean => {
    const n = squares.shape[squares.shape.length - 1];
    const sum = topological([norm]).find((s) => s.tag === "fold" && s.args[0] === squares);
    return sum?.tag === "fold" && sum.monoid === "sum" &&
      sum.labels.out.length === sum.labels.args[0].length - 1 &&
      norm === map("mul", peak, map("sqrt", map("div", sum, n as number)));
  };

  const added = (t: TermOf<"map">): Row | undefined => {
    const [a, b] = t.args.map(of);
    if (a !== undefined && b !== undefined) {
      const [p, q] = [settled(a), settled(b)];
      if (p.base.term !== q.base.term || p.by !== q.by) return undefined;
      const sign = t.op === "sub" ? -1 : 1;
      const matrix = p.matrix.map((m, h) => m.map((v, i) => v + sign * q.matrix[h][i]));
      return { ...p, matrix, off: plus(p.off, q.off) };
    }
    if (t.op === "sub" && a !== undefined && a.base === whole) return centred(t, a);
    // A centred tensor and its mean are the tensor.
    const centre = a && a.base.term.tag === "map" && a.base.term.op === "sub"
      ? a.base.term
      : undefined;
    if (t.op !== "add" || a === undefined || a.by !== undefined || centre === undefined) {
      return undefined;
    }
    if (centre.args[1] !== t.args[1] || centre.args[0] !== x) return undefined;
    const r = settled(a);
    const identity = own(whole);
    if (r.columns !== identity.columns) return undefined;
    // What the matrix of r is not the identity by.
    const apart = r.matrix.map((m, h) => m.map((v, i) => v - identity.matrix[h][i]));
    const far = r.off.relative + spectral(apart, r.columns);
    const off = {
      relative: far * r.base.size.relative,
      least: r.off.least + far * r.base.size.least,
    };
    return { ...identity, off };
  };
  /** x less its mean over tokens, as that is stored. */
  const centred = (t: TermOf<"map">, a: Row): Row | undefined => {
    const [of, by] = t.args;
    const mean = by.tag === "broadcast" ? by.args[0] : undefined;
    const sum = mean && uncast(mean);
    if (of !== x || sum?.tag !== "fold" || sum.monoid !== "sum" || by.tag !== "broadcast") {
      return undefined;
    }
    const [part] = sum.args;
    const over = sum.labels.args[0].filter((l) => !sum.labels.out.includes(l));
    if (part.tag !== "map" || part.op !== "div" || part.args[0] !== x || given(part.args[1])) {
      return undefined;
    }
    if (over.join() !== sum.labels.args[0][1] || by.axes.join() !== "0,2") return undefined;
    const stored = mean !== sum;
    if (stored) limit(1);
    const size = {
      relative: 1 + (stored ? U16 : 0),
      least: stored ? Math.sqrt(a.columns) * LEAST16 : 0,
    };
    return own({ term: t as Term, size, longest: 2 * size.relative });
  };

  const known = new Map<Term, Row | undefined>([[x, own(whole)]]);
  const of = (t: Term): Row | undefined => {
    if (known.has(t)) return known.get(t);
    const row = leads(t) ? found(t) : undefined;
    known.set(t, row);
    return row;
  };
  const found = (t: Term): Row | undefined => {
    switch (t.tag) {
      case "reshape": {
        const row = of(t.args[0]);
        return row;
      }
      case "permute":
        return t.axes[0] === 0 && t.axes[1] === 1 ? through(t, 0) : undefined;
      case "slice":
        return t.axis > 1 ? through(t, 0) : undefined;
      case "concat":
        return t.axis === t.shape.length - 1 && t.shape.length === 3 ? joined(t) : undefined;
      case "contract": {
        const at = t.args.findIndex((a) => of(a) !== undefined);
        if (at < 0 || given(t.args[1 - at])) return undefined;
        const [h, n] = t.labels.args[at];
        const aside = t.labels.args[1 - at].includes(n) || t.labels.out[0] !== h ||
          t.labels.out[1] !== n;
        return aside ? undefined : through(t, at);
      }
      case "gather":
        return looked(t);
      case "map":
        switch (t.op) {
          case "div":
            return given(t.args[1]) ? divided(t) : through(t, 0);
          case "mul": {
            const at = t.args.findIndex((a) => !given(a));
            return at < 0 ? product(t) : through(t, 1 - at);
          }
          case "add":
          case "sub":
            return added(t);
          case "neg":
            return through(t, 0);
          default:
            return undefined;
        }
      default:
        return undefined;
    }
  };
  const through = (t: Term, at: number): Row | undefined => {
    const row = of(argsOf(t)[at]);
    return row && linear(t, at, row);
  };
  const joined = (t: TermOf<"concat">): Row | undefined => {
    const found = t.args.map(of);
    if (!found.every((r) => r !== undefined)) return undefined;
    const codes = new Map<Term, Coded>();
    let once = true;
    found.flatMap((r) => [...r.codes]).forEach(([code, cells]) => {
      const sides = codes.get(code)?.sides ?? [];
      once &&= !cells.sides.some((s) => sides.includes(s));
      codes.set(code, { ...cells, sides: [...sides, ...cells.sides] });
    });
    const all = once ? found : found.map(settled);
    if (!once) codes.clear();
    const [first] = all;
    if (all.some((r) => r.base.term !== first.base.term || r.by !== first.by)) return undefined;
    const columns = all.reduce((n, r) => n + r.columns, 0);
    const matrix = first.matrix.map((_, h) => {
      const n = first.matrix[h].length / first.columns;
      const m = new Float64Array(n * columns);
      let at = 0;
      for (const r of all) {
        for (let i = 0; i < n; i++) {
          m.set(r.matrix[h].subarray(i * r.columns, (i + 1) * r.columns), i * columns + at);
        }
        at += r.columns;
      }
      return m;
    });
    return {
      ...first,
      matrix,
      columns,
      off: all.map((r) => r.off).reduce(plus),
      codes,
    };
  };

  const end = of(back);
  if (end === undefined || end.by !== undefined) return undefined;
  const last = settled(end);
  if (last.base !== whole || last.columns !== width) return undefined;
  const identity = own(whole);
  const apart = last.matrix.map((m, h) => m.map((v, i) => v - identity.matrix[h][i]));
  const far = last.off.relative + spectral(apart, width);
  return { relative: far * SLACK, least: last.off.least * SLACK, upTo };
};

/** Are these the squares of those over their largest, as f32 has them? */
const areSquares = (
  shares: readonly number[],
  values: readonly number[],
  peak: number,
): boolean => values.every((v, i) => Math.abs(shares[i] * peak * peak - v * v) <= 2 ** -22 * v * v);

/** a·b, b of so many columns, a of as many as b has rows. */
const multiply = (
  a: Float64Array,
  inner: number,
  b: Float64Array,
  columns: number,
): Float64Array => {
  const out = new Float64Array(a.length / inner * columns);
  for (let i = 0; i < a.length / inner; i++) {
    for (let k = 0; k < inner; k++) {
      const v = a[i * inner + k];
      if (v !== 0) {
        for (let j = 0; j < columns; j++) out[i * columns + j] += v * b[k * columns + j];
      }
    }
  }
  return out;
};

/** The shape that claims are made for: heads and channels are known, tokens are not. */
export const claimShape = (heads: number, channels: number): Shape => [heads, "tokens", channels];
