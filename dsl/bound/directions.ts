/**
 * Pairs by their length and the nearest of some directions, level after level.
 *
 * ```text
 * pair = L·u, back = R·p, |u| = |p| = 1, |p − u| ≤ δ:   |back − pair|² = (R − L)² + L²·|p − u|²·R / L
 * over all pairs, ‖L‖ = ‖z‖, ‖R − L‖ ≤ ρ:               ‖back − z‖² ≤ ρ² + δ²·‖z‖·(‖z‖ + ρ)
 * ```
 * @module
 */
import type { Term, TermOf } from "../core/term.ts";
import { directed, directionsOf, pairLengths } from "../decompose/polar.ts";
import { nearestIn, type Point } from "../quantize/grid.ts";
import { type Claiming, columnsOf, HALF, type Off, type Row, spectral } from "./tokens.ts";
import { unstored } from "./scales.ts";

/** Angles that are looked at. */
const ANGLES = 8192;

/** How far a direction may be from the nearest of some, all around or in the first quadrant. */
const farthest = (points: readonly Point[], around: boolean): number => {
  const step = (around ? 2 : 0.5) * Math.PI / ANGLES;
  let far = 0;
  for (let k = 0; k <= ANGLES; k++) {
    const [x, y] = [Math.cos(k * step), Math.sin(k * step)];
    far = Math.max(far, Math.min(...points.map(([a, b]) => Math.hypot(x - a, y - b))));
  }
  return far + step / 2;
};

/** Numbers that stand for others, which are tokens or lengths of pairs of them: off relative to the tokens. */
interface Standing {
  readonly of: Term;
  readonly off: Off;
  /** The tokens that the lengths are of. */
  readonly row: Row;
}

/** Has the one a number for every pair of the other's last axis? */
const isHalf = ({ shape: a }: Term, { shape: b }: Term): boolean => {
  const [n, m] = [a, b].map((s) => s[s.length - 1]);
  return typeof n === "number" && m === 2 * n && a.slice(0, -1).join() === b.slice(0, -1).join();
};

/** The tokens behind lengths of lengths of pairs. */
const tokensIn = (lengths: Term, c: Claiming): Row | undefined => {
  const row = c.of(lengths);
  if (row !== undefined) return row.by === undefined && row.codes.size === 0 ? row : undefined;
  // Of pairs by name: the largest of their magnitudes is what all of it begins with.
  const [top] = lengths.tag === "map" ? lengths.args : [];
  const pair = top?.tag === "fold" && top.args[0].tag === "map" ? top.args[0].args[0] : undefined;
  const below = pair?.tag === "reshape" ? pair.args[0] : pair;
  const paired = below !== undefined && isHalf(lengths, below) && pairLengths(below) === lengths;
  return paired ? tokensIn(below, c) : undefined;
};

/** The directions that both coordinates of pairs are slices of. */
const pairedIn = ([a, b]: readonly Term[]): Term | undefined => {
  const [x, y] = [a, b].map((t, i) => {
    const cut = t.tag === "reshape" ? t.args[0] : t;
    if (cut.tag !== "slice" || cut.start !== i || cut.axis !== cut.shape.length - 1) {
      return undefined;
    }
    const pairs = cut.args[0];
    if (pairs.shape[cut.axis] !== 2) return undefined;
    return pairs.tag === "reshape" ? pairs.args[0] : pairs;
  });
  return x === y ? x : undefined;
};

const standing = (t: Term, c: Claiming): Standing | undefined => {
  if (unstored(t) !== t) {
    const of = unstored(t);
    const row = tokensIn(of, c);
    if (row === undefined || c.of(of) !== undefined) return undefined;
    c.limit(row.base.longest * spectral(row.matrix, row.columns));
    const least = HALF.least * Math.sqrt(columnsOf(of));
    return { of, off: { relative: HALF.relative, least }, row };
  }
  const [directions, lengths] = t.tag === "map" && t.op === "mul" ? t.args : [];
  const looked = directions && c.seen(directions);
  const radius = lengths && lengthsIn(lengths);
  if (looked?.tag !== "gather" || radius === undefined) return undefined;
  if (!isHalf(radius, directions!) || directed(directions!, radius) !== t) return undefined;
  const of = pointsOf(looked, c);
  const inner = standing(radius, c);
  if (of === undefined || inner === undefined) return undefined;
  // Directions of what is no length have any sign.
  const [z] = of.directions.tag === "map" ? of.directions.args : [];
  if (z === undefined || !isHalf(inner.of, z) || directionsOf(z, inner.of) !== of.directions) {
    return undefined;
  }
  if (pairLengths(z) !== inner.of) return undefined;
  const far = farthest(of.points, c.of(z) !== undefined);
  const { relative: rho, least } = inner.off;
  const relative = Math.sqrt(rho * rho + far * far * (1 + rho));
  // What is least adds to ρ; the root rises with it by no more than ρ / √(ρ² + …) + δ² / 2δ.
  return { of: z, off: { relative, least: least * (1 + far / 2) }, row: inner.row };
};

/** What is repeated for both of a pair. */
const lengthsIn = (t: Term): Term | undefined => {
  const pairs = t.tag === "reshape" ? t.args[0] : t;
  return pairs.tag === "broadcast" ? pairs.args[0] : undefined;
};

/** Rows of a table of unit points, chosen as the nearest. */
const pointsOf = (
  { args: [rows, index] }: TermOf<"gather">,
  c: Claiming,
): { readonly points: readonly Point[]; readonly directions: Term } | undefined => {
  const code = c.seen(index);
  const found = code.tag === "cast" ? nearestIn(code.args[0]) : undefined;
  const directions = found && pairedIn(found.of);
  const values = rows.tag === "reshape" && rows.args[0].tag === "table" ? rows.args[0].values : [];
  const same = found?.points.flat().every((v, i) => Math.abs(v - values[i]) <= 2 ** -22) &&
    found.points.every((p) => Math.abs(Math.hypot(...p) - 1) <= 2 ** -22);
  return directions !== undefined && same ? { points: found!.points, directions } : undefined;
};

/** Tokens that come back as lengths in the nearest directions. */
export const directedBack = (t: TermOf<"map">, c: Claiming): Row | undefined => {
  const found = standing(t as Term, c);
  const row = found && c.of(found.of);
  if (found === undefined || row === undefined || row.by !== undefined) return undefined;
  const size = spectral(row.matrix, row.columns);
  const off = {
    relative: row.off.relative + size * found.off.relative,
    least: row.off.least + found.off.least,
  };
  return { ...row, off };
};
