/**
 * What stays the same along tokens, computed once a group: a rotated query, Σ q, a query as integers.
 * @module
 */
import { type Fixed, isFixedPoint } from "../../dsl/core/dtype.ts";
import type { Term, TermOf } from "../../dsl/core/term.ts";
import {
  across4,
  type Arr,
  asI16,
  bin,
  type Expr,
  int,
  load,
  num,
  packI16,
  packI8,
  un,
  unzip16,
  vec4,
} from "../../compiler/ir/expr.ts";
import { type Builder, type Plan, unravel } from "../../compiler/kernel.ts";
import { CODES } from "../../compiler/lower/fixed.ts";
import { linear, type Source } from "../../compiler/lower/memory.ts";
import { contractTogether } from "../../compiler/lower/reductions.ts";
import { type HeldAxes, heldCount } from "../../compiler/lower/row.ts";
import { holdRow } from "../stage.ts";
import type { Frame } from "./shape.ts";
import { LANES } from "./tokens.ts";

const indexOf = (
  term: Term,
  axes: HeldAxes,
  inside: readonly Expr[],
  outer: readonly Expr[],
  token = -1,
  first: Expr = int(0),
): Expr[] =>
  term.shape.map((_, a) =>
    a === token
      ? first
      : axes.held.includes(a)
      ? inside[axes.held.indexOf(a)]
      : outer[axes.rowOf[a]!]
  );

/** Words that are read ahead of the tokens at most: they stay where one lane finds them at once. */
const AHEAD = 256;

/** Memory that nothing writes again: what is read of it may be read once, ahead of the tokens. */
const ahead = (b: Builder, arr: Arr): Arr =>
  b.serial && arr.length <= AHEAD ? { ...arr, mutable: false } : arr;

/** One of the integers that lie in words, `each` bits each, as a number. */
const integerAt = (arr: Arr, at: Expr, each: 8 | 16): Expr => {
  const many = 32 / each;
  const inWord = un("toI32", load(arr, bin("div", at, int(many))));
  const above = bin("mul", bin("sub", int(many - 1), bin("rem", at, int(many))), int(each));
  return un("toF32", bin("shr", bin("shl", inWord, above), int(32 - each)));
};

/** Where one of sixteen lies: in 16 bits the even ones come first, as codes are met. */
const lies = (at: Expr, each: 8 | 16): Expr => {
  if (each === 8) return at;
  const inside = bin("rem", at, int(CODES));
  const within = bin(
    "add",
    bin("mul", bin("rem", inside, int(2)), int(8)),
    bin("div", inside, int(2)),
  );
  return bin("add", bin("mul", bin("div", at, int(CODES)), int(CODES)), within);
};

/** Sixteen integers a step; the last axis is a multiple of 16 by the rule that made the cast. */
const stageFixed = (
  b: Builder,
  term: Term & { readonly dtype: Fixed },
  axes: HeldAxes,
  size: number,
  outer: readonly Expr[],
): void => {
  const { low } = b;
  const each = term.dtype === "i8" ? 8 : 16;
  const many = 32 / each;
  const arr = b.local("fixed", size / many, "u32");
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const last = term.shape.length - 1;
  low.par("h", int(size / CODES), (h) => {
    const [p, q, r, s] = LANES.map((k) => {
      const inside = unravel(bin("add", bin("mul", h, int(CODES)), int(4 * k)), dims);
      return low.wide(term, indexOf(term, axes, inside, outer), last);
    });
    const at = bin("mul", h, int(CODES / many));
    if (each === 8) low.store(arr, at, packI8([p, q, r, s]));
    else {
      const eights = [packI16(p, q), packI16(r, s)];
      [0, 1].forEach((odd) =>
        low.store(arr, bin("add", at, int(4 * odd)), unzip16(eights[0], eights[1], odd))
      );
    }
  });
  const done = ahead(b, arr);
  const flat = (index: readonly Expr[]): Expr => linear(dims, axes.held.map((a) => index[a]));
  low.sources.set(term, {
    at: (index) => integerAt(done, lies(flat(index), each), each),
    wide: () => undefined,
    fixed: (index) => {
      const words = load(done, bin("div", flat(index), int(many)), true);
      return each === 8 ? words : asI16(words);
    },
  });
};

/** Makes a term at what is held of it, and reads it from there from now on. */
const hold = (
  b: Builder,
  term: Term,
  axes: HeldAxes,
  at: (inside: readonly Expr[]) => readonly Expr[],
  read: (arr: Arr) => Arr,
): void => {
  const { low } = b;
  const size = heldCount(term, axes);
  const arr = b.local("held", size);
  const last = term.shape.length - 1;
  const four = axes.held[axes.held.length - 1] === last && (term.shape[last] as number) % 4 === 0;
  const unit = four ? 4 : 1;
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  low.par("h", int(size / unit), (h) => {
    const place = bin("mul", h, int(unit));
    const index = at(unravel(place, dims));
    low.store(arr, place, four ? low.wide(term, index, last) : low.at(term, index));
  });
  low.sources.set(term, holdRow({ arr: read(arr), axes, size }, term, int(0)));
};

/** Products that are made side by side, four sums each: as many as hide how long an addition takes. */
const TOGETHER = 2;

/** Vectors of a source at known places, read once ahead of the loops to come. */
const readAhead = (b: Builder, source: Source): Source => {
  const { low } = b;
  const { block } = low;
  const known = new Map<Expr, Expr>();
  return {
    ...source,
    wide: (index, axis) => {
      const four = source.wide(index, axis);
      // A place that a loop counts is read where it is.
      if (four?.op !== "load" || four.args[0].op !== "const") return four;
      const named = known.get(four) ?? low.named("w", four, block);
      known.set(four, named);
      return named;
    },
  };
};

/** Makes products at four neighbouring places of their last axis at a time, a few rows side by side. */
const holdProducts = (
  b: Builder,
  term: Term & TermOf<"contract">,
  axes: HeldAxes,
  at: (inside: readonly Expr[]) => readonly Expr[],
  paced: Pick<ReadonlySet<Term>, "has">,
): void => {
  const { low } = b;
  const size = heldCount(term, axes);
  const dims = axes.held.map((a) => int(term.shape[a] as number));
  const count = term.shape[term.shape.length - 1] as number;
  const arr = b.local("held", size);
  const rows = Array.from({ length: size / count }, (_, r) => unravel(int(r), dims.slice(0, -1)));
  for (let first = 0; first < rows.length; first += TOGETHER) {
    const some = rows.slice(first, first + TOGETHER);
    // What rows of a table are multiplied with is the same for all of them.
    const met = term.args.filter((t) => paced.has(t)).map((t) => [t, low.sources.get(t)!] as const);
    met.forEach(([t, source]) => low.sources.set(t, readAhead(b, source)));
    const fours = some.length < TOGETHER && count % (4 * TOGETHER) === 0 ? TOGETHER : 1;
    low.par("h", int(count / (4 * fours)), (h) => {
      const place = bin("mul", h, int(4 * fours));
      const places = Array.from({ length: 4 * fours }, (_, k) => bin("add", place, int(k)));
      const sums = contractTogether(
        low,
        term,
        places.flatMap((p) => some.map((r) => at([...r, p]))),
      );
      some.forEach((_, r) => {
        const own = places.map((_, k) => sums[k * some.length + r]);
        for (let k = 0; k < own.length; k += 4) {
          const four = own.slice(k, k + 4);
          const wide = four[0].type === "f32x4" ? across4("hsum", four) : vec4(four);
          low.store(arr, bin("add", place, int((first + r) * count + k)), wide);
        }
      });
    });
    met.forEach(([t, source]) => low.sources.set(t, source));
  }
  low.sources.set(term, holdRow({ arr, axes, size }, term, int(0)));
};

/** Before it is made: what reads it finds four numbers side by side. */
export const showPaced = (b: Builder, { paced }: Plan): void =>
  paced?.forEach((_, term) =>
    b.low.sources.set(term, { at: () => num(0), wide: () => un("splat", num(0)) })
  );

/** Makes what is the same for all tokens of a run, for what reads it, operands first. */
export const stagePaced = (
  b: Builder,
  { paced = new Map() }: Plan,
  { outer, first }: Frame,
): void => {
  for (const term of paced.keys()) b.low.sources.delete(term);
  for (const [term, axes] of paced) {
    const at = (inside: readonly Expr[]): Expr[] =>
      indexOf(term, axes, inside, outer, axes.token, first);
    const last = term.shape.length - 1;
    const four = axes.held[axes.held.length - 1] === last && (term.shape[last] as number) % 4 === 0;
    const product = four && term.tag === "contract" ? term as Term & TermOf<"contract"> : undefined;
    if (product !== undefined) holdProducts(b, product, axes, at, paced);
    else hold(b, term, axes, at, (arr) => arr);
  }
};

/** Stages every term that does not change along tokens. */
export const stage = (b: Builder, plan: Plan, outer: readonly Expr[]): void => {
  const { low } = b;
  for (const [term, axes] of plan.axes) {
    const size = heldCount(term, axes);
    low.sources.delete(term);
    if (term.tag === "cast" && isFixedPoint(term.dtype)) {
      stageFixed(b, term as Term & { readonly dtype: Fixed }, axes, size, outer);
      continue;
    }
    hold(b, term, axes, (inside) => indexOf(term, axes, inside, outer), (arr) => ahead(b, arr));
  }
};
