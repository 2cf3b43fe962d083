/**
 * The merge of a streaming fold's parts, as values for the kernel that uses the result:
 * M = max m;  Σ e^(m−M) o / Σ e^(m−M) l.  Nothing, or only masked scores, gives 0.
 * @module
 */
import { MASKED } from "../../dsl/core/monoid.ts";
import type { Term } from "../../dsl/core/term.ts";
import { bin, type Expr, int, load, madd, num, select, un } from "../../compiler/ir/expr.ts";
import type { Builder, Context } from "../../compiler/kernel.ts";
import { linear } from "../../compiler/lower/memory.ts";
import { partsExpr, rowOf, streamOf } from "./shape.ts";

/** A finished streaming fold: one value, or four channels where they end its index. */
export interface Merged {
  readonly wide: boolean;
  readonly value: (index: readonly Expr[], four: boolean) => Expr;
}

/** Reads the parts of a fold. */
export const mergeInto = (b: Builder, context: Context, fold: Term): Merged => {
  const stream = streamOf(context.streamOf(fold), context);
  const { rows, peak } = stream;
  const sum = stream.sums.find((s) => s.term === fold)!;
  const { low } = b;
  const part = b.scratch(stream.scratch, stream.partWords, false);
  const last = sum.channels[sum.channels.length - 1];
  const value = (index: readonly Expr[], four: boolean): Expr => {
    const along = (l: string): Expr => index[sum.out.indexOf(l)];
    const { group, row } = rowOf(b, stream, along);
    const inside = linear(low.dims(sum.channels.map(sum.dim)), sum.channels.map(along));
    const channel = bin("add", inside, int(sum.at));
    const chunks = partsExpr(b, stream);
    const baseAt = (c: Expr): Expr =>
      bin(
        "mul",
        bin("add", bin("mul", bin("add", bin("mul", group, chunks), c), int(rows)), row),
        int(stream.part),
      );
    const top = low.mutable("top", num(MASKED));
    low.loop(
      "c",
      int(0),
      chunks,
      1,
      (c) => top.set(bin("max", load(part, bin("add", baseAt(c), int(peak))), top.get())),
    );
    const m = low.named("m", top.get());
    const total = low.mutable("l", num(0));
    const acc = low.mutable("o", four ? un("splat", num(0)) : num(0));
    low.loop("c", int(0), chunks, 1, (c) => {
      const base = baseAt(c);
      const f = low.named(
        "factor",
        un("exp", bin("sub", load(part, bin("add", base, int(peak))), m)),
      );
      total.set(madd(f, load(part, bin("add", base, int(peak + 1))), total.get()));
      acc.set(madd(f, load(part, bin("add", base, channel), four), acc.get()));
    });
    const l = low.named("l", total.get());
    const nothing = bin("le", l, num(0));
    const quotient = bin("div", acc.get(), select(nothing, num(1), l));
    return select(nothing, four ? un("splat", num(0)) : num(0), quotient);
  };
  return {
    wide: last !== undefined && sum.inner % 4 === 0 && sum.out[sum.out.length - 1] === last,
    value,
  };
};
