/**
 * Tokens over a size of their own, and times it again.
 *
 * ```text
 * y = z / s, s the root mean square of z     ‖y‖ = √n, whatever z is (and s as it is stored)
 * ·s                                         z + s·e, ‖s·e‖ ≤ ‖e‖ / √n · ‖z‖
 * ·(s·√n / ‖table[code]‖)                    as long as z: off by a chord, not by ‖e‖
 * ```
 * @module
 */
import { map } from "../core/build.ts";
import { HELD, held } from "../core/held.ts";
import { type Term, type TermOf, topological } from "../core/term.ts";
import { rootMeanSquare } from "../quantize/scope.ts";
import {
  type Claiming,
  columnsOf,
  HALF,
  own,
  rebased,
  type Row,
  settled,
  spectral,
} from "./tokens.ts";

const rms = (z: Term): Term => rootMeanSquare(z, { view: z.shape, axes: [z.shape.length - 1] });

/** What a half was made of. */
export const unstored = (t: Term): Term => t.tag === "cast" && t.dtype === "f16" ? t.args[0] : t;

/** One number a token, behind views that repeat it. */
const sizeIn = (t: Term, c: Claiming): Term | undefined => {
  if (!c.leads(t)) return undefined;
  if (t.tag === "reshape") return sizeIn(t.args[0], c);
  if (t.tag === "broadcast") {
    return t.axes.join().startsWith("0,1") ? sizeIn(t.args[0], c) : undefined;
  }
  return columnsOf(t) === 1 ? t : undefined;
};

/** z / s. */
export const divided = (t: TermOf<"map">, c: Claiming): Row | undefined => {
  const [z, s] = t.args;
  const [row, size] = [c.of(z), sizeIn(s, c)];
  if (row === undefined || size === undefined || row.by !== undefined) return undefined;
  if (row.codes.size > 0 || row.off.relative > 0 || row.off.least > 0) return undefined;
  const norm = unstored(size);
  if (norm !== rms(z) && norm !== held(rms(z))) return undefined;
  const longest = spectral(row.matrix, row.columns) * row.base.longest;
  if (norm !== size) c.limit(longest / Math.sqrt(row.columns));
  return own({ term: z, size: row.base.size, longest }, c.heads, size);
};

/** y·s, or y·(another size). */
export const multiplied = (t: TermOf<"map">, c: Claiming): Row | undefined => {
  for (const [entries, other] of [t.args, [t.args[1], t.args[0]]]) {
    const [row, size] = [c.of(entries), sizeIn(other, c)];
    if (row?.by === undefined || size === undefined) continue;
    const z = c.of(row.base.term);
    if (size !== row.by) {
      const longer = kept(row, entries, size, c);
      return longer && rebased(longer, z);
    }
    const { relative, least } = settled(row).off;
    // s ≤ (1 + u)·‖z‖ / √n + 2^-25.
    const off = {
      relative: relative * (1 + HALF.relative) / Math.sqrt(columnsOf(row.base.term)),
      least: relative * HALF.least + least,
    };
    return rebased({ ...row, by: undefined, codes: new Map(), off }, z);
  }
  return undefined;
};

/** Are these the squares of those over their largest, as f32 has them? */
const areSquares = (shares: readonly number[], values: readonly number[], peak: number): boolean =>
  values.every((v, i) => Math.abs(shares[i] * peak * peak - v * v) <= 2 ** -22 * v * v);

/** Is it the root of the mean square of looked up entries, their largest magnitude apart? */
const isNormOf = (norm: Term, entries: TermOf<"gather">, peak: number, c: Claiming): boolean => {
  const sum = topological([norm]).find((s) =>
    s.tag === "fold" && s.monoid === "sum" && s.args[0].tag === "gather" &&
    c.seen(s.args[0].args[1]) === c.seen(entries.args[1])
  );
  if (sum?.tag !== "fold" || sum.args[0].tag !== "gather") return false;
  const [values, shares] = [entries.args[0], sum.args[0].args[0]];
  const { args: [labels], out } = sum.labels;
  const n = sum.args[0].shape[labels.length - 1];
  return values.tag === "table" && shares.tag === "table" && typeof n === "number" &&
    out.join() === labels.slice(0, -1).join() && areSquares(shares.values, values.values, peak) &&
    norm === map("mul", peak, map("sqrt", map("div", sum, n)));
};

/** Times a size that makes what was looked up as long as what was coded. */
const kept = (row: Row, view: Term, size: Term, c: Claiming): Row | undefined => {
  const [ratio, entries] = [unstored(size), c.seen(view)];
  const [cells] = row.codes.values();
  if (row.codes.size !== 1 || ratio.tag !== "map" || ratio.op !== "div") return undefined;
  if (ratio.args[0] !== rms(row.base.term) || entries.tag !== "gather") return undefined;
  const levels = cells.points.map(([level]) => Math.fround(level));
  const sizes = levels.map(Math.abs);
  const peak = Math.max(...sizes);
  if (!isNormOf(ratio.args[1], entries, peak, c)) return undefined;
  const n = columnsOf(row.base.term);
  const share = settled(row).off.relative / Math.sqrt(n);
  // The sine of the angle to what was looked up; where signs agree the angle is never obtuse.
  const agree = levels.every((level) => levels.includes(-level));
  const cos = share < 1 ? Math.sqrt(1 - share * share) : agree ? 0 : -1;
  if (ratio !== size) c.limit(row.base.longest / Math.sqrt(n) / Math.min(...sizes));
  const off = {
    relative: Math.sqrt(2 - 2 * cos) + HALF.relative,
    least: Math.sqrt(n) * (HALF.least * peak + 4 * HELD[0]),
  };
  return { ...row, by: undefined, codes: new Map(), off };
};
