/**
 * One way to grow a term a node kind: what `props/terms.ts` chooses from. A way gives up (undefined)
 * where no operand fits.
 * @module
 */
import * as B from "../dsl/core/build.ts";
import * as P from "../dsl/core/pieces.ts";
import { type Place, rangeDim } from "../dsl/core/dims.ts";
import { type DType, DTYPES, PACKED } from "../dsl/core/dtype.ts";
import type { Op } from "../dsl/core/ops.ts";
import { countOf } from "../dsl/core/shape.ts";
import type { Dim, Shape, Term } from "../dsl/core/term.ts";
import { contract, fold, gram, siblings, softmax, weighed, windowed } from "./term_folds.ts";
import {
  before,
  clamped,
  dimOf,
  type Grown,
  grown,
  type Kind,
  MOST,
  partner,
  type Soil,
} from "./term_soil.ts";

const unary: Kind = (soil) => {
  const a = before(soil);
  const op = soil.dice.pick<Op>(["neg", "abs", "exp", "sqrt", "rint", "binade"]);
  if (op === "exp") return grown(B.map("exp", clamped(a, 20).term), 5e8, a);
  if (op === "sqrt") return grown(B.map("sqrt", B.map("abs", a.term)), 1 + a.bound, a);
  return grown(B.map(op, a.term), a.bound + 1, a);
};

const number = ({ dice }: Soil): number => dice.pick([0, 1, -1, 0.5, 3, -2.5, 0.1, 2 ** -10]);

const binary: Kind = (soil) => {
  const a = before(soil);
  const op = soil.dice.pick<Op>(["add", "sub", "mul", "max", "min", "less"]);
  if (soil.dice.chance(0.25)) return grown(B.map(op, a.term, number(soil)), 4 * a.bound + 4, a);
  const b = partner(soil, a.term.shape);
  const bound = op === "mul" ? a.bound * b.bound : a.bound + b.bound + 1;
  return grown(
    soil.dice.chance(0.5) ? B.map(op, a.term, b.term) : B.map(op, b.term, a.term),
    bound,
    a,
    b,
  );
};

/** A quotient by 2^-10 or more, or by integers that may be 0, or by a stored scale for all of an axis. */
const quotient: Kind = (soil) => {
  const a = before(soil);
  const axis = a.term.shape.length - 1;
  if (axis >= 0 && soil.dice.chance(0.2)) {
    const scale = soil.fresh(a.term.shape.slice(0, -1));
    const stored = B.cast(B.map("max", B.map("abs", scale.term), 2 ** -10), "f16");
    const by = B.broadcast(stored, a.term.shape, stored.shape.map((_, i) => i));
    return grown(B.map("div", a.term, by), 1024 * a.bound, a, scale);
  }
  if (soil.dice.chance(0.4)) {
    const b = soil.fresh(a.term.shape, soil.dice.pick<DType>([...PACKED, "u32"]));
    return grown(B.map("div", a.term, b.term), a.bound, a);
  }
  const b = partner(soil, a.term.shape);
  const denominator = B.map("max", B.map("abs", b.term), 2 ** -10);
  return grown(B.map("div", a.term, denominator), 1024 * a.bound, a, b);
};

const select: Kind = (soil) => {
  const a = before(soil);
  const b = partner(soil, a.term.shape);
  const c = soil.dice.chance(0.5)
    ? partner(soil, a.term.shape).term
    : B.map("less", a.term, soil.dice.chance(0.5) ? b.term : 0.5);
  return grown(B.map("select", c, a.term, b.term), Math.max(a.bound, b.bound), a, b);
};

const iota = (soil: Soil, shape: Shape): Grown | undefined => {
  if (shape.length === 0) return undefined;
  const axis = soil.dice.below(shape.length);
  return grown(B.iota(shape, axis), dimOf(soil, shape[axis]));
};

const hadamard: Kind = (soil) => {
  const [a, b] = [iota(soil, before(soil).term.shape), before(soil)];
  if (a === undefined || a.term.shape.length === 0) return undefined;
  const signs = B.map("hadamard", a.term, iota(soil, a.term.shape)!.term);
  const same = b.term.shape.join() === a.term.shape.join();
  const weighed = same ? B.map("mul", signs, b.term) : signs;
  const made = soil.dice.chance(0.3) ? B.map("abs", weighed) : weighed;
  return same ? grown(made, b.bound, a, b) : grown(made, 1, a);
};

const withIota: Kind = (soil) => {
  const a = before(soil);
  const i = iota(soil, a.term.shape);
  return i &&
    grown(B.map(soil.dice.pick<Op>(["add", "less", "min"]), a.term, i.term), a.bound + i.bound, a);
};

const constant: Kind = (soil) => {
  const a = before(soil);
  const value = number(soil);
  return grown(
    soil.dice.chance(0.7) ? B.map("add", a.term, value) : B.constant(value, a.term.shape),
    a.bound + 3,
    a,
  );
};

/** What leaves a number as it is. */
const neutral: Kind = (soil) => {
  const a = before(soil);
  const [op, by] = soil.dice.pick([["mul", 1], ["add", 0], ["sub", 0]] as const);
  return grown(B.map(op, a.term, by), a.bound, a);
};

const cast: Kind = (soil) => {
  const a = before(soil);
  const dtype = soil.dice.pick<DType>([
    "f32",
    "f16",
    "f16",
    "e4m3",
    "e5m2",
    "e8m0",
    "u32",
    ...PACKED,
  ]);
  return dtype === a.term.dtype ? undefined : grown(B.cast(a.term, dtype), a.bound, a);
};

const reshape: Kind = (soil) => {
  const a = before(soil);
  const to: Dim[] = a.term.shape.flatMap((d): Dim[] => {
    if (typeof d !== "number" || d === 1) return soil.dice.chance(0.2) ? [1, d] : [d];
    const by = [2, 3, 4].find((f) => d % f === 0 && d > f);
    return by !== undefined && soil.dice.chance(0.5) ? [d / by, by] : [d];
  });
  for (let i = to.length - 2; i >= 0; i--) {
    const [x, y] = [to[i], to[i + 1]];
    if (typeof x === "number" && typeof y === "number" && soil.dice.chance(0.4)) {
      to.splice(i, 2, x * y);
    }
  }
  const shape = soil.dice.chance(0.2) ? soil.dice.shuffle(to) : to;
  const term = B.reshape(a.term, shape);
  return term === a.term ? undefined : grown(term, a.bound, a);
};

const permute: Kind = (soil) => {
  const a = before(soil);
  if (a.term.shape.length < 2) return undefined;
  return grown(B.permute(a.term, soil.dice.shuffle(a.term.shape.map((_, i) => i))), a.bound, a);
};

const broadcast: Kind = (soil) => {
  const a = before(soil);
  if (a.term.shape.length > 3) return undefined;
  const at = soil.dice.below(a.term.shape.length + 1);
  const shape = [...a.term.shape.slice(0, at), soil.dim(), ...a.term.shape.slice(at)];
  return grown(
    B.broadcast(a.term, shape, a.term.shape.map((_, i) => i < at ? i : i + 1)),
    a.bound,
    a,
  );
};

/** Terms that repeat along an axis that is merged with the one before it. */
const merged: Kind = (soil) => {
  const a = before(soil);
  const { shape } = a.term;
  const axis = fixedAxis(soil, shape, 1);
  if (axis === undefined || shape.length > 3) return undefined;
  const times = 2 + soil.dice.below(3);
  const wide = [...shape.slice(0, axis + 1), times, ...shape.slice(axis + 1)];
  const narrow = shape.map((d, i) => i === axis ? times * (d as number) : d);
  if (countOf(narrow, soil.sizes) > MOST) return undefined;
  const places = shape.map((_, i) => i <= axis ? i : i + 1);
  const spread = (g: Grown): Term => B.reshape(B.broadcast(g.term, wide, places), narrow);
  const op = soil.dice.pick<Op>(["add", "sub", "max", "less"]);
  if (soil.dice.chance(0.4)) return grown(B.map(op, spread(a), number(soil)), a.bound + 4, a);
  const b = soil.fresh(shape);
  return grown(B.map(op, spread(a), spread(b)), a.bound + b.bound + 1, a, b);
};

const fixedAxis = (soil: Soil, shape: Shape, least: number): number | undefined => {
  const axes = shape.flatMap((d, i) => typeof d === "number" && d >= least ? [i] : []);
  return axes.length === 0 ? undefined : soil.dice.pick(axes);
};

const slice: Kind = (soil) => {
  const a = before(soil);
  const axis = fixedAxis(soil, a.term.shape, 2);
  if (axis === undefined) return undefined;
  const size = a.term.shape[axis] as number;
  const start = soil.dice.below(size);
  const stop = start + 1 + soil.dice.below(size - start);
  return stop - start === size ? undefined : grown(P.slice(a.term, axis, start, stop), a.bound, a);
};

/** Turned, or with an axis more: what a rule takes apart. */
const viewed = ({ dice }: Soil, { term, ...rest }: Grown): Grown => {
  const { shape } = term;
  const view = dice.chance(0.5)
    ? B.permute(term, dice.shuffle(shape.map((_, i) => i)))
    : B.reshape(term, dice.chance(0.5) ? [1, ...shape] : [...shape, 1]);
  return { ...rest, term: view };
};

const concat: Kind = (soil) => {
  const a = before(soil);
  const axis = fixedAxis(soil, a.term.shape, 1);
  if (axis === undefined) return undefined;
  const shape = a.term.shape.map((d, i) => i === axis ? 1 + soil.dice.below(4) : d);
  const b = soil.fresh(shape, a.term.dtype);
  const all = soil.dice.chance(0.3) ? [b, a, a] : soil.dice.shuffle([a, b]);
  const joined = grown(P.concat(all.map((g) => g.term), axis), Math.max(a.bound, b.bound), a);
  return soil.dice.chance(0.3) ? viewed(soil, joined) : joined;
};

/** Runs of a named axis, side by side again: the part behind a place is another formula, or another input. */
const runs: Kind = (soil) => {
  const a = before(soil);
  const { shape } = a.term;
  const axes = shape.flatMap((d, i) => typeof d === "string" ? [i] : []);
  if (axes.length === 0) return undefined;
  const axis = soil.dice.pick(axes);
  const [start, tail, group] = [0, 1, 2].map((least) => least + soil.dice.below(4));
  const place: Place = soil.dice.chance(0.5) ? { start: start + 1 } : { start, tail, group };
  const [head, rest] = [
    P.range(a.term, axis, { start: 0 }, place),
    P.range(a.term, axis, place),
  ];
  if (head === undefined || rest === undefined) return undefined;
  const b = soil.fresh(rest.shape, "f32");
  const other = soil.dice.chance(0.5)
    ? b.term
    : B.map("add", rest, B.iota(rest.shape, axis, rangeDim(shape[axis], { start: 0 }, place)));
  const bound = a.bound + b.bound + dimOf(soil, shape[axis]);
  return grown(P.concat([B.map("neg", head), other], axis), bound, a, b);
};

/** A table of numbers, and entries of it by codes or by what was grown before. */
const table: Kind = (soil) => {
  const count = soil.dice.pick([1, 2, 3, 4, 6, 8, 16]);
  const values = Array.from({ length: count }, () => soil.dice.below(9) - 4.5 + number(soil));
  const given = B.table(values);
  const bound = values.reduce((top, x) => Math.max(top, Math.abs(x)), 1);
  if (soil.dice.chance(0.2)) return { term: given, bound, depth: 1 };
  if (soil.dice.chance(0.5)) {
    const chosen = before(soil);
    const index = B.map("min", B.map("max", chosen.term, 0), count - 1);
    return grown(B.gather(given, B.cast(index, "u4")), bound, chosen);
  }
  const shape = [...Array.from({ length: soil.dice.below(2) }, soil.dim), soil.dice.pick([16, 4])];
  const dtype = soil.dice.pick<DType>(count < 4 ? ["u32"] : count < 16 ? ["u2"] : ["u2", "u4"]);
  const index = soil.fresh(shape, dtype, Math.min(count, DTYPES[dtype].max + 1));
  return grown(B.gather(given, index.term), bound, index);
};

const gather: Kind = (soil) => {
  const table = before(soil);
  if (table.term.shape.length === 0) return undefined;
  const rows = dimOf(soil, table.term.shape[0]);
  const shape = Array.from({ length: soil.dice.below(3) }, soil.dim);
  if (countOf(shape, soil.sizes) * countOf(table.term.shape, soil.sizes) / rows > MOST) {
    return undefined;
  }
  if (soil.dice.chance(0.5)) {
    const index = soil.fresh(
      shape,
      rows >= 4 ? soil.dice.pick<DType>(["u2", "u32"]) : "u32",
      Math.min(rows, rows >= 4 ? 4 : rows),
    );
    return grown(B.gather(table.term, index.term), table.bound, table);
  }
  const chosen = before(soil);
  const index = B.cast(B.map("min", B.map("abs", chosen.term), rows - 1), "u32");
  return grown(B.gather(table.term, index), table.bound, table, chosen);
};

/** Rows chosen for each place of the first axes. */
const gatherEach: Kind = (soil) => {
  const table = before(soil);
  const { shape } = table.term;
  if (shape.length < 2) return undefined;
  const batch = 1 + soil.dice.below(shape.length - 1);
  const rows = dimOf(soil, shape[batch]);
  const own = [...shape.slice(0, batch), ...Array.from({ length: soil.dice.below(2) }, soil.dim)];
  const count = (dims: Shape): number => countOf(dims, soil.sizes);
  if (count(own) * count(shape.slice(batch + 1)) > MOST) return undefined;
  const index = soil.fresh(own, "u32", rows);
  return grown(B.gather(table.term, index.term, batch), table.bound, table);
};

/** The ways to grow; those named twice are drawn twice as often. */
export const KINDS: readonly Kind[] = [
  unary,
  unary,
  binary,
  binary,
  quotient,
  select,
  hadamard,
  withIota,
  constant,
  neutral,
  cast,
  cast,
  reshape,
  permute,
  broadcast,
  merged,
  slice,
  concat,
  runs,
  gather,
  gatherEach,
  table,
  contract,
  contract,
  weighed,
  fold,
  gram,
  softmax,
  softmax,
  siblings,
  windowed,
];
