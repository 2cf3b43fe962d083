/**
 * A product of rows with themselves that are divided by their largest magnitude, and that magnitude: in one walk. A
 * part of the tokens does not know the largest of all, and needs it no sooner than the end.
 *
 * ```text
 * for a group = (batch, part of the tokens):
 *   sums = Σ x xᵀ,  m = max |x|,  g = 1                      (x where it lies)
 *   if Σ x² overflowed or 0 < m < 2^-12:  g = 2^⌊log₂ m⌋,  sums = Σ (x/g)(x/g)ᵀ
 * top = max m;  s = what is made of top;  result = Σ (s·g)·sums·(s·g)
 * ```
 * What is lost of a part below the smallest number is what `in_place.ts` says, since s is no more than 2^12 where a
 * part is not divided; s·g is exact.
 * @module
 */
import { countOf, knownCount, sizeOf } from "../dsl/core/shape.ts";
import type { Term, TermOf } from "../dsl/core/term.ts";
import { bin, type Expr, int, load, num, select, un, variable, word } from "../compiler/ir/expr.ts";
import { GROUP, type Size } from "../compiler/ir/stmt.ts";
import { Builder, type Context, type Step, unravel } from "../compiler/kernel.ts";
import { apart, type Tall } from "../compiler/lower/tall.ts";
import { addInPlace, FACTOR, inRange, lyingOf, rowIndex } from "./in_place.ts";
import { MONOIDS } from "./reduce.ts";
import { addTriangle, passesOf, placeAt } from "./triangle.ts";

/** Rows of a part, about; results of a group that adds parts up. */
const [PART, RESULTS] = [4096, 256];
/** Powers of two that numbers are divided by. */
const [LEAST, MOST] = [2 ** -126, 2 ** 126];
const EXPONENT = 0x7f800000;

/** The largest power of two that is no more than a number. */
const powerBelow = (x: Expr): Expr =>
  un(
    "asF32",
    bin("and", un("asU32", bin("min", bin("max", x, num(LEAST)), num(MOST))), word(EXPONENT)),
  );

/** One over a power of two. */
const inverse = (power: Expr): Expr =>
  un("asF32", bin("sub", word(2 * (127 << 23)), un("asU32", power)));

/** The steps that make a product and the largest magnitude of its rows; nothing where those lie otherwise. */
export const normalisedSteps = (
  root: Term & TermOf<"contract">,
  fold: Term & TermOf<"fold">,
  tall: Tall,
  context: Context,
): Step[] | undefined => {
  const { batch, tokens, inner, m, dims } = tall;
  const size = dims.get(m) as number;
  const S = knownCount(inner.map((l) => dims.get(l)!));
  const P = Math.max(1, Math.ceil(PART / S));
  const batchShape = batch.map((l) => dims.get(l)!);
  const groups: Size = (s) => countOf(batchShape, s) * Math.ceil(sizeOf(dims.get(tokens)!, s) / P);
  const names = { sums: `${context.name}_sums`, tops: `${context.name}_tops` };
  const axes = root.labels.args[0];
  const batchAxes = batch.map((l) => axes.indexOf(l));
  const axis = axes.indexOf(m);
  const { view, factor } = apart(root.args[0], batchAxes);
  const partsOf = (b: Builder): Expr =>
    bin("div", bin("add", b.size(dims.get(tokens)!), int(P - 1)), int(P));
  const scratch = (b: Builder, made: boolean) => ({
    mid: b.scratch(names.sums, (s) => groups(s) * size * size, made),
    tops: b.scratch(names.tops, (s) => groups(s) * 2, made),
  });

  const summed = (): Step | undefined => {
    const b = new Builder(context);
    const { low } = b;
    b.read([view]);
    if (lyingOf(low, view, axis, []) === undefined) return undefined;
    const { mid, tops } = scratch(b, true);
    const rows = b.local("rows", S * size);
    const sums = b.local("sums", size * size);
    const parts = partsOf(b);
    const group = variable(GROUP, "i32", { lo: 0 });
    const lead = unravel(bin("div", group, parts), low.dims(batchShape));
    const first = bin("mul", bin("rem", group, parts), int(P));
    const count = bin("min", int(P), bin("sub", b.size(dims.get(tokens)!), first));
    const index = rowIndex(axes, m, tall, lead, first);
    const clear = (): void =>
      low.loop(
        "z",
        int(0),
        int(size * size / 4),
        1,
        (z) => low.store(sums, bin("mul", z, int(4)), un("splat", num(0))),
      );
    clear();
    const top = low.mutable("top", un("splat", num(MONOIDS.max.first)));
    addInPlace({ low, view, index, axis, size, inner: S, count, sums, top });
    const largest = low.named("largest", un("hmax", top.get()));
    const near = select(
      bin("le", num(1 / FACTOR), largest),
      num(1),
      select(bin("le", largest, num(0)), num(1), num(0)),
    );
    const kept = low.named("kept", bin("and", inRange(sums, size), bin("lt", num(0), near)));
    const by = low.named("by", select(kept, num(1), powerBelow(largest)));
    low.when(un("not", kept), () => {
      clear();
      const over = low.named("over", inverse(by));
      low.loop("t", int(0), count, 1, (t) => {
        low.loop("u", int(0), int(S * size / 4), 1, (u) => {
          const [s, at] = [bin("div", u, int(size / 4)), bin("rem", u, int(size / 4))];
          const four = low.wide(view, index(t, s, bin("mul", at, int(4))), axis);
          low.store(rows, bin("mul", u, int(4)), bin("mul", four, over));
        });
        const four = (k: Expr, column: number): Expr =>
          load(rows, bin("add", bin("mul", k, int(size)), int(column)), true);
        passesOf(size).forEach((pass) => addTriangle(low, pass, sums, size, int(S), four));
      });
    });
    low.loop("s", int(0), int(size * size / 4), 1, (s) => {
      const at = bin("mul", s, int(4));
      low.store(mid, bin("add", bin("mul", group, int(size * size)), at), load(sums, at, true));
    });
    low.par("one", int(1), () => {
      low.store(tops, bin("mul", group, int(2)), largest);
      low.store(tops, bin("add", bin("mul", group, int(2)), int(1)), by);
    });
    return b.finish(context.name, "contract", groups);
  };

  const topped = (): Step => {
    const b = new Builder(context);
    const { low } = b;
    const { tops } = scratch(b, false);
    const out = b.write(fold);
    const parts = partsOf(b);
    const start = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(RESULTS));
    low.par("e", bin("min", int(RESULTS), bin("sub", b.count(batchShape), start)), (e) => {
      const at = bin("add", start, e);
      const acc = low.mutable("acc", num(MONOIDS.max.first));
      low.loop("p", int(0), parts, 1, (p) => {
        const own = load(tops, bin("mul", bin("add", bin("mul", at, parts), p), int(2)));
        acc.set(bin("max", acc.get(), own));
      });
      low.store(out, at, acc.get());
    });
    return b.finish(
      `${context.name}_topped`,
      "contract",
      (s) => Math.ceil(countOf(batchShape, s) / RESULTS),
    );
  };

  const added = (): Step => {
    const b = new Builder({ ...context, materialized: new Set([...context.materialized, fold]) });
    const { low } = b;
    const { mid, tops } = scratch(b, false);
    b.read([factor!.term]);
    const out = b.write(root);
    const parts = partsOf(b);
    const all = bin("mul", b.count(batchShape), int(size * size));
    const start = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(RESULTS));
    low.par("e", bin("min", int(RESULTS), bin("sub", all, start)), (e) => {
      const at = bin("add", start, e);
      const which = bin("div", at, int(size * size));
      const lead = unravel(which, low.dims(batchShape));
      const [i, j] = [bin("rem", bin("div", at, int(size)), int(size)), bin("rem", at, int(size))];
      const inside = placeAt(bin("min", i, j), bin("max", i, j), size);
      const index = factor!.axes.map((a) => lead[batchAxes.indexOf(a)]);
      const scale = low.named("scale", low.at(factor!.term, index));
      const acc = low.mutable("acc", num(0));
      low.loop("p", int(0), parts, 1, (p) => {
        const part = bin("add", bin("mul", which, parts), p);
        const by = bin("mul", scale, load(tops, bin("add", bin("mul", part, int(2)), int(1))));
        const value = load(mid, bin("add", bin("mul", part, int(size * size)), inside));
        acc.set(bin("add", acc.get(), bin("mul", bin("mul", value, by), by)));
      });
      low.store(out, at, acc.get());
    });
    return b.finish(
      `${context.name}_added`,
      "contract",
      (s) => Math.ceil(countOf(root.shape, s) / RESULTS),
    );
  };

  const step = summed();
  return step && [step, topped(), added()];
};
