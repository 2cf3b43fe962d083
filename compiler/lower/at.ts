/**
 * A term at an index: from the language to expressions of the loop language. Views become index
 * arithmetic, maps become operators, small static contractions and folds are written out.
 *
 * `at` gives one value, `wide` four along one axis (whose index is a multiple of 4). What a kernel
 * holds in memory comes from `sources`; everything else is computed where it is used.
 * @module
 */
import { wholeOf } from "../../dsl/bound/whole.ts";
import { isPacked } from "../../dsl/core/dtype.ts";
import { startsOf } from "../../dsl/core/dims.ts";
import { regroups, runEndingAt } from "../../dsl/core/shape.ts";
import {
  type Dim,
  read,
  type Reading,
  type Shape,
  type Term,
  type TermOf,
} from "../../dsl/core/term.ts";
import { bin, type Expr, int, LOOKED, lookup, num, select, un, vec4 } from "../ir/expr.ts";
import type { Stmt } from "../ir/stmt.ts";
import { columnOf, entryOf } from "./entries.ts";
import { integerAt, wideDigits, wideFromMiddle } from "./integers.ts";
import { linear, type Source } from "./memory.ts";
import { neighbours } from "./neighbours.ts";
import { applyOp, castValue, hasLanes } from "./numeric.ts";
import { countAbove, placesOf } from "./places.ts";
import { contractAt, contractWide, foldAt } from "./reductions.ts";
import { Writer } from "./writer.ts";

type Index = readonly Expr[];

/** Lowers terms inside one kernel. */
export class Lower extends Writer {
  /** Terms that are in memory (or staged) for this kernel. */
  readonly sources: Map<Term, Source> = new Map();

  /** Sizes of dims: a constant or a uniform. */
  constructor(readonly size: (dim: Dim) => Expr) {
    super();
  }

  /** May four values begin anywhere? Set where vectors run along tokens. */
  loose = false;

  /** Sizes of a shape. */
  dims(shape: Shape): Expr[] {
    return shape.map((d) => this.size(d));
  }

  /** Answers while one value is made: a term that many others share is looked at once a block. */
  private answers: Map<Stmt[], Map<string, Expr | undefined>> | undefined;

  private once(
    term: Term,
    index: Index,
    axis: number,
    make: () => Expr | undefined,
  ): Expr | undefined {
    if (term.tag !== "map" && term.tag !== "contract" && term.tag !== "fold") return make();
    const outermost = this.answers === undefined;
    const answers = this.answers ??= new Map();
    if (!answers.has(this.block)) answers.set(this.block, new Map());
    const here = answers.get(this.block)!;
    let key = `${term.id}|${axis}`;
    for (const e of index) key += `,${e.id}`;
    try {
      if (!here.has(key)) here.set(key, make());
      return here.get(key);
    } finally {
      if (outermost) this.answers = undefined;
    }
  }

  /** The value of a term at an index. */
  at(term: Term, index: Index): Expr {
    const source = this.sources.get(term);
    return source
      ? source.at(index)
      : this.once(term, index, -1, () => read(AT, term, this, index))!;
  }

  /** Four values along `axis`, or nothing where that would mean four separate reads. */
  tryWide(term: Term, index: Index, axis: number): Expr | undefined {
    const source = this.sources.get(term);
    return source === undefined
      ? this.once(term, index, axis, () => read(WIDE, term, this, index, axis))
      : source.wide(index, axis);
  }

  /** Four values along `axis`. */
  wide(term: Term, index: Index, axis: number): Expr {
    return this.tryWide(term, index, axis) ??
      vec4(
        [0, 1, 2, 3].map((k) =>
          this.at(term, index.map((x, i) => i === axis ? bin("add", x, int(k)) : x))
        ),
      );
  }
}

/** From an index of a reshape's result to an index of its argument. */
export const unreshape = (low: Lower, term: TermOf<"reshape">, index: Index): Expr[] => {
  const from = term.args[0].shape;
  const out: Expr[] = [];
  for (const group of regroups(from, term.shape)) {
    const [to0, to1] = group.to;
    const [from0, from1] = group.from;
    if (to1 - to0 === 1 && from1 - from0 === 1) {
      out.push(index[to0]);
      continue;
    }
    let at = linear(low.dims(term.shape.slice(to0, to1)), index.slice(to0, to1));
    const back: Expr[] = [];
    const lone = (i: number): boolean => from.slice(from0, i).every((d) => d === 1);
    for (let i = from1 - 1; i > from0; i--) {
      // Before it there is nothing to carry to.
      if (lone(i)) {
        back.unshift(at);
        at = int(0);
        continue;
      }
      const n = low.size(from[i]);
      back.unshift(bin("rem", at, n));
      at = bin("div", at, n);
    }
    if (from1 > from0) back.unshift(at);
    out.push(...back);
  }
  return out;
};

/** Which argument of a concat holds an index, as a chain of choices. */
const pickPart = (
  low: Lower,
  term: TermOf<"concat">,
  index: Index,
  value: (arg: Term, index: Index) => Expr,
): Expr => {
  const dims = term.args.map((arg) => arg.shape[term.axis]);
  const parts = startsOf(dims).map((start, i) => ({ arg: term.args[i], start: low.size(start) }));
  return parts.reverse().reduce<Expr | undefined>((rest, { arg, start: from }) => {
    const size = low.size(arg.shape[term.axis]);
    const last = bin("sub", size, int(1));
    const inside = bin("max", bin("min", bin("sub", index[term.axis], from), last), int(0));
    const here = value(arg, index.map((x, i) => i === term.axis ? inside : x));
    return rest === undefined
      ? here
      : select(bin("lt", index[term.axis], bin("add", from, size)), here, rest);
  }, undefined)!;
};

const gatherIndex = (low: Lower, term: TermOf<"gather">, index: Index): Expr[] => {
  const [table, rows] = term.args;
  const at = index.slice(0, rows.shape.length);
  const row = integerAt(low, rows, at) ?? un("toI32", low.at(rows, at));
  const { batch = 0 } = term;
  const top = bin("sub", low.size(table.shape[batch]), int(1));
  return [
    ...index.slice(0, batch),
    bin("max", bin("min", row, top), int(0)),
    ...index.slice(rows.shape.length),
  ];
};

/** A codebook read by codes four at a time, straight from their bytes where they come as such. */
const wideEntries = (
  low: Lower,
  values: readonly number[],
  codes: Term,
  index: Index,
  axis: number,
): Expr | undefined => {
  const four = low.tryWide(codes, index, axis);
  if (four === undefined) return undefined;
  return four.op === "bytes" && values.length <= LOOKED
    ? lookup(four.args[0], four.value, values)
    : entryOf(values, four);
};

const outside = (term: Term): never => {
  throw new Error(`${term.tag} is not in this kernel's memory`);
};

/** One value. */
const AT: Reading<[Lower, Index], Expr> = {
  input: (t) => outside(t as Term),
  constant: (t) => num(t.value),
  table: (t, _low, [index]) =>
    index.op === "const" ? num(t.values[index.value]) : entryOf(t.values, index),
  iota: (t, low, index) => un("toF32", bin("add", index[t.axis], low.size(t.start))),
  map: (t, low, index) => applyOp(t.op, t.args.map((a) => low.at(a, index))),
  cast: (t, low, index) => {
    const places = isPacked(t.dtype) ? placesOf(t.args[0]) : undefined;
    return places === undefined
      ? castValue(t.dtype, low.at(t.args[0], index), wholeOf(t.args[0]))
      : countAbove(low.at(places.x, index), places.cuts);
  },
  reshape: (t, low, index) => low.at(t.args[0], unreshape(low, t, index)),
  permute: (t, low, index) => low.at(t.args[0], t.axes.map((_, i) => index[t.axes.indexOf(i)])),
  broadcast: (t, low, index) => low.at(t.args[0], t.axes.map((a) => index[a])),
  slice: (t, low, index) =>
    low.at(t.args[0], index.map((x, i) => i === t.axis ? bin("add", x, low.size(t.start)) : x)),
  concat: (t, low, index) => pickPart(low, t, index, (arg, at) => low.at(arg, at)),
  gather: (t, low, index) => {
    const at = gatherIndex(low, t, index);
    const inText = !t.batch && !low.sources.has(t.args[0]);
    const column = inText ? columnOf(t.args[0], at.slice(1)) : undefined;
    return column === undefined ? low.at(t.args[0], at) : entryOf(column, at[0]);
  },
  contract: (t, low, index) => contractAt(low, t, index),
  fold: (t, low, index) => foldAt(low, t, index),
  routine: (t) => outside(t as Term),
};

/** Four values along an axis, or nothing. */
const WIDE: Reading<[Lower, Index, number], Expr | undefined> = {
  input: (t) => outside(t as Term),
  constant: (t) => un("splat", num(t.value)),
  table: (t, _low, [index]) =>
    index.op === "const"
      ? vec4([0, 1, 2, 3].map((k) => num(t.values[index.value + k])))
      : undefined,
  iota: (t, low, index, axis) => {
    const base = un("splat", un("toF32", bin("add", index[t.axis], low.size(t.start))));
    return t.axis === axis ? bin("add", base, vec4([0, 1, 2, 3].map(num))) : base;
  },
  map: (t, low, index, axis) => {
    const digits = wideDigits(low, t, index, axis);
    if (digits !== undefined) return digits;
    if (!hasLanes(t.op)) return undefined;
    const args = t.args.map((a) => low.tryWide(a, index, axis));
    return args.some((a) => a === undefined) ? undefined : applyOp(t.op, args as Expr[]);
  },
  cast: (t, low, index, axis) => {
    const places = isPacked(t.dtype) ? placesOf(t.args[0]) : undefined;
    if (places !== undefined) {
      const four = low.tryWide(places.x, index, axis);
      return four && countAbove(four, places.cuts);
    }
    const x = low.tryWide(t.args[0], index, axis);
    return x && castValue(t.dtype, x, wholeOf(t.args[0]));
  },
  reshape: (t, low, index, axis) => {
    const group = runEndingAt(t.args[0].shape, t.shape, axis);
    if (group === undefined) return undefined;
    const inner = group.from[1] - 1;
    const at = unreshape(low, t, index);
    if (t.args[0].shape[inner] === 2 && inner > group.from[0]) {
      return inner === t.args[0].shape.length - 1
        ? neighbours(t.args[0].shape, at, (i, along) => low.tryWide(t.args[0], i, along))
        : undefined;
    }
    const whole = t.args[0].shape[inner];
    const aligned = t.args[0].shape.slice(group.from[0], inner).every((d) => d === 1) ||
      (typeof whole === "number" && whole % 4 === 0);
    return aligned && at[inner].factor % 4 === 0 ? low.tryWide(t.args[0], at, inner) : undefined;
  },
  permute: (t, low, index, axis) =>
    low.tryWide(t.args[0], t.axes.map((_, i) => index[t.axes.indexOf(i)]), t.axes[axis]),
  broadcast: (t, low, index, axis) => {
    const at = t.axes.map((a) => index[a]);
    return t.axes.includes(axis)
      ? low.tryWide(t.args[0], at, t.axes.indexOf(axis))
      : un("splat", low.at(t.args[0], at));
  },
  slice: (t, low, index, axis) => {
    const apart = typeof t.start === "string" ? !low.loose : t.start % 4 !== 0;
    return axis === t.axis && apart ? undefined : low.tryWide(
      t.args[0],
      index.map((x, i) => i === t.axis ? bin("add", x, low.size(t.start)) : x),
      axis,
    );
  },
  concat: (t, low, index, axis) => {
    if (axis === t.axis) return undefined;
    let fails = false;
    const value = pickPart(low, t, index, (arg, at) => {
      const e = low.tryWide(arg, at, axis);
      if (e === undefined) fails = true;
      return e ?? num(0);
    });
    return fails ? undefined : value;
  },
  gather: (t, low, index, axis) => {
    const [rows, codes] = t.args;
    const lead = codes.shape.length;
    const column = axis < lead && !t.batch && !low.sources.has(rows)
      ? columnOf(rows, index.slice(lead))
      : undefined;
    return axis < lead
      ? column
        ? wideEntries(low, column, codes, index.slice(0, lead), axis)
        : wideFromMiddle(low, t, index, axis)
      : low.tryWide(t.args[0], gatherIndex(low, t, index), axis - lead + 1 + (t.batch ?? 0));
  },
  contract: (t, low, index, axis) => contractWide(low, t, index, axis),
  fold: (t, low, index, axis) => foldAt(low, t, index, axis),
  routine: (t) => outside(t as Term),
};
