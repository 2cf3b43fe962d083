/**
 * What a program loses of its input at most, whatever that is: known before a number is read.
 *
 * ```text
 * ‖x − x̂‖ ≤ relative·‖x‖ + least·√tokens     for every x of which no token is longer than `upTo`
 * ```
 *
 * A reading of the term of x̂, in exact arithmetic. What the channels of a token go through is a matrix,
 * found by reading each node at the rows of one: views, products with what no input changes, sums. Beside that:
 *
 * ```text
 * table[nearest of y]       y + e: what a vector of that length can be off at most       cells.ts
 * z / s, ·s                 s a size of z's own                                          scales.ts
 * R · point[nearest]        pairs by length and direction                                directions.ts
 * r = x − mean of x         ‖r‖ ≤ ‖x‖ over all tokens: a projection
 * ```
 *
 * A term that is made of anything else has no claim.
 * @module
 */
import { input } from "../core/build.ts";
import { anywhere } from "../core/codes.ts";
import { isPacked } from "../core/dtype.ts";
import { placeIn } from "../core/gaps.ts";
import { argsOf, type Term, type TermOf, topological, withArgs } from "../core/term.ts";
import { nearestIn } from "../quantize/grid.ts";
import { evalAll } from "../read/eval.ts";
import { directedBack } from "./directions.ts";
import { divided, multiplied, unstored } from "./scales.ts";
import {
  type Claiming,
  type Coded,
  columnsOf,
  HALF,
  moved,
  own,
  plus,
  type Row,
  scaled,
  settled,
  SLACK,
  spectral,
} from "./tokens.ts";

/** What is claimed of every tensor; see the head of the file. */
export interface Claim {
  /** The error against the tensor, both in 2-norm. */
  readonly relative: number;
  /** What is added for each token: where a stored number is too small to be exact. */
  readonly least: number;
  /** The longest token whose stored numbers are in the range of their type. */
  readonly upTo: number;
}

const given = anywhere((t) => t.tag === "input");

/** The node at the rows of matrices, one a head. */
const matricesOf = (
  t: Term,
  at: number,
  { matrix, columns }: Pick<Row, "matrix" | "columns">,
): Float64Array[] => {
  const [arg, name] = [argsOf(t)[at], "rows of a matrix"];
  const node = withArgs(t, argsOf(t).map((a, i) => i === at ? input(name, arg.shape, "f32") : a));
  const rows = matrix[0].length / columns;
  const data = new Float64Array(matrix.length * matrix[0].length);
  matrix.forEach((m, h) => data.set(m, h * m.length));
  const [out] = evalAll([node], { sizes: { [t.shape[1]]: rows }, inputs: { [name]: data } });
  const size = out.data.length / matrix.length;
  return matrix.map((_, h) => Float64Array.from(out.data.subarray(h * size, (h + 1) * size)));
};

/** Through a node that is linear in the numbers of each token alone. */
const through = (t: Term, at: number, c: Claiming): Row | undefined => {
  const arg = argsOf(t)[at];
  const found = c.of(arg);
  const row = found && settled(found);
  if (row === undefined) return undefined;
  const matrix = matricesOf(t, at, row);
  const columns = columnsOf(t);
  if (row.off.relative === 0 && row.off.least === 0) return { ...row, matrix, columns };
  const whole = own({ ...row.base, term: arg }, c.heads);
  return {
    ...row,
    matrix,
    columns,
    off: scaled(row.off, spectral(matricesOf(t, at, whole), columns)),
  };
};

/** What a code stands for: y, off by no more than to the nearest of some points. */
const looked = (t: TermOf<"gather">, c: Claiming): Row | undefined => {
  const [table, code] = [t.args[0], c.seen(t.args[1])];
  if (table.tag !== "table" || code.tag !== "cast" || !isPacked(code.dtype)) return undefined;
  const { values } = table;
  const [place] = code.args;
  const near = nearestIn(place);
  const coded = (y: Term | undefined, points: Coded["points"], side: number): Row | undefined => {
    const row = y && c.of(y);
    if (row?.by === undefined || row.codes.size > 0) return undefined;
    return { ...row, codes: new Map([[code, { count: row.columns, points, sides: [side] }]]) };
  };
  if (near !== undefined) {
    const { points, of } = near;
    const side = [0, 1].find((i) =>
      points.every((p, k) => Math.abs(p[i] - values[k]) <= 2 ** -22 * Math.abs(p[i]))
    );
    return side === undefined ? undefined : coded(of[side], points, side);
  }
  const levels = values.filter((v, i) => i === 0 || v > values[i - 1]).map(Math.fround);
  const first = topological([place]).find((s) =>
    s.tag === "map" && s.op === "sub" && placeIn(levels, s.args[0]) === place
  );
  return coded(first && argsOf(first)[0], levels.map((v) => [v]), 0);
};

/** x less its mean over tokens, as that is stored. */
const centred = (t: TermOf<"map">, c: Claiming): Row | undefined => {
  const [of, repeated] = t.args;
  if (of !== c.x || repeated.tag !== "broadcast" || repeated.axes.join() !== "0,2") {
    return undefined;
  }
  const [mean] = repeated.args;
  const sum = unstored(mean);
  if (sum.tag !== "fold" || sum.monoid !== "sum") return undefined;
  const [part] = sum.args;
  const [h, , d] = sum.labels.args[0];
  const isMean = part.tag === "map" && part.op === "div" && part.args[0] === c.x &&
    !given(part.args[1]) && sum.labels.out.join() === [h, d].join();
  if (!isMean) return undefined;
  const stored = mean !== sum;
  if (stored) c.limit(1);
  const size = {
    relative: 1 + (stored ? HALF.relative : 0),
    least: stored ? Math.sqrt(columnsOf(c.x)) * HALF.least : 0,
  };
  return own({ term: t as Term, size, longest: 2 * size.relative }, c.heads);
};

/** r and what it was taken from x are x. */
const uncentred = (row: Row, mean: Term, c: Claiming): Row | undefined => {
  const { term, size } = row.base;
  if (row.by !== undefined || term.tag !== "map" || term.op !== "sub") return undefined;
  if (term.args[0] !== c.x || term.args[1] !== mean) return undefined;
  const whole = c.of(c.x)!;
  if (row.columns !== whole.columns) return undefined;
  const last = settled(row);
  const far = last.off.relative + moved(last);
  return { ...whole, off: plus(scaled(size, far), { relative: 0, least: last.off.least }) };
};

const added = (t: TermOf<"map">, c: Claiming): Row | undefined => {
  const [a, b] = t.args.map(c.of);
  if (a === undefined || b === undefined) {
    return t.op === "sub" ? centred(t, c) : a && uncentred(a, t.args[1], c);
  }
  const [p, q] = [settled(a), settled(b)];
  if (p.base.term !== q.base.term || p.by !== q.by) return undefined;
  const sign = t.op === "sub" ? -1 : 1;
  const matrix = p.matrix.map((m, h) => m.map((v, i) => v + sign * q.matrix[h][i]));
  return { ...p, matrix, off: plus(p.off, q.off) };
};

/** Columns side by side. */
const joined = (t: TermOf<"concat">, c: Claiming): Row | undefined => {
  const found = t.args.map(c.of);
  if (!found.every((r) => r !== undefined)) return undefined;
  const codes = new Map<Term, Coded>();
  let once = true;
  found.flatMap((r) => [...r.codes]).forEach(([code, cells]) => {
    const sides = codes.get(code)?.sides ?? [];
    once &&= !cells.sides.some((s) => sides.includes(s));
    codes.set(code, { ...cells, sides: [...sides, ...cells.sides] });
  });
  const all = once ? found : found.map(settled);
  const [first] = all;
  if (all.some((r) => r.base.term !== first.base.term || r.by !== first.by)) return undefined;
  const columns = all.reduce((n, r) => n + r.columns, 0);
  const matrix = first.matrix.map((m, h) => {
    const rows = m.length / first.columns;
    const made = new Float64Array(rows * columns);
    let at = 0;
    for (const r of all) {
      for (let i = 0; i < rows; i++) {
        made.set(r.matrix[h].subarray(i * r.columns, (i + 1) * r.columns), i * columns + at);
      }
      at += r.columns;
    }
    return made;
  });
  const off = all.map((r) => r.off).reduce(plus);
  return { ...first, matrix, columns, off, codes: once ? codes : new Map() };
};

const product = (t: TermOf<"map">, c: Claiming): Row | undefined => {
  const fixed = t.args.findIndex((a) => !given(a));
  return fixed < 0 ? multiplied(t, c) ?? directedBack(t, c) : through(t as Term, 1 - fixed, c);
};

/** A product with what is the same for all tokens, heads and tokens left where they are. */
const contraction = (t: TermOf<"contract">, c: Claiming): Row | undefined => {
  const at = t.args.findIndex((a) => c.of(a) !== undefined);
  if (at < 0 || given(t.args[1 - at])) return undefined;
  const [h, n] = t.labels.args[at];
  const apart = !t.labels.args[1 - at].includes(n) && t.labels.out[0] === h &&
    t.labels.out[1] === n;
  return apart ? through(t as Term, at, c) : undefined;
};

const found = (t: Term, c: Claiming): Row | undefined => {
  switch (t.tag) {
    case "reshape":
      return c.of(t.args[0]);
    case "permute":
      return t.axes[0] === 0 && t.axes[1] === 1 ? through(t, 0, c) : undefined;
    case "slice":
      return t.axis > 1 ? through(t, 0, c) : undefined;
    case "concat":
      return t.axis === 2 && t.shape.length === 3 ? joined(t, c) : undefined;
    case "contract":
      return contraction(t, c);
    case "gather":
      return looked(t, c);
    case "map":
      return t.op === "div"
        ? (given(t.args[1]) ? divided(t, c) : through(t, 0, c))
        : t.op === "mul"
        ? product(t, c)
        : t.op === "add" || t.op === "sub"
        ? added(t, c)
        : t.op === "neg"
        ? through(t, 0, c)
        : undefined;
    default:
      return undefined;
  }
};

/** The operand of a concatenation that a slice of it is. */
const cutOut = (t: Term): Term | undefined => {
  const [all] = t.tag === "slice" ? t.args : [];
  if (t.tag !== "slice" || all?.tag !== "concat" || all.axis !== t.axis) return undefined;
  let at = 0;
  return all.args.find((a) => {
    const size = a.shape[t.axis];
    const here = at === t.start && size === t.shape[t.axis];
    at += typeof size === "number" ? size : Infinity;
    return here;
  });
};

/** What `back` loses of any `x` (`[heads, tokens, channels]`, tokens by name); nothing where there is none. */
export const lossOf = (x: Term, back: Term): Claim | undefined => {
  const [heads, tokens] = x.shape;
  if (typeof heads !== "number" || typeof tokens !== "string" || x.shape.length !== 3) {
    return undefined;
  }
  let upTo = Infinity;
  const leads = ({ shape: [h, n] }: Term): boolean => h === heads && n === tokens;
  const whole = own({ term: x, size: { relative: 1, least: 0 }, longest: 1 }, heads);
  const known = new Map<Term, Row | undefined>([[x, whole]]);
  const c: Claiming = {
    x,
    heads,
    leads,
    seen: (t) => {
      const behind = t.tag === "reshape" && leads(t.args[0]) ? t.args[0] : cutOut(t);
      return behind === undefined ? t : c.seen(behind);
    },
    limit: (size) => void (upTo = Math.min(upTo, HALF.most / size)),
    of: (t) => {
      if (!known.has(t)) known.set(t, leads(t) ? found(t, c) : undefined);
      return known.get(t);
    },
  };
  const row = c.of(back);
  if (row === undefined || row.by !== undefined || row.base.term !== x) return undefined;
  const last = settled(row);
  if (last.columns !== whole.columns) return undefined;
  const relative = (last.off.relative + moved(last)) * SLACK;
  const { least } = last.off;
  return relative + least < Infinity ? { relative, least: least * SLACK, upTo } : undefined;
};
