/**
 * `feedback`: a row is rounded column after column, and what a column lost is taken off those after it.
 * Rows are independent: one group a row.
 *
 * ```text
 * row = w[r]
 * for column i:  one lane:           c = clamp(rint((row[i] − min) / scale), 0, top),  e = lost / u[i][i]
 *                lanes over j > i:   row[j] −= e · u[i][j]        four at a time where u lies so
 * ```
 *
 * A vector of four may reach back before column i + 1: those columns are not read again.
 * @module
 */
import { countOf } from "../../dsl/core/shape.ts";
import type { TermOf } from "../../dsl/core/term.ts";
import { bin, int, load, num, select, un, variable } from "../../compiler/ir/expr.ts";
import { GROUP } from "../../compiler/ir/stmt.ts";
import { Builder, type Skeleton, unravel } from "../../compiler/kernel.ts";

/** The skeleton. */
export const feedbackSkeleton: Skeleton = (plan, context) => {
  const roots = plan.roots as readonly TermOf<"routine">[];
  const [w, u, scale, min, top] = roots[0].args;
  const b = new Builder(context);
  const { low } = b;
  b.read(roots[0].args);
  const outs = new Map(roots.map((r) => [r.project, b.write(r)]));
  const n = w.shape[w.shape.length - 1] as number;
  const rows = w.shape.slice(0, -1);
  const group = variable(GROUP, "i32", { lo: 0 });
  const lead = unravel(group, low.dims(rows));
  const batch = lead.slice(0, -1);
  const row = b.local("row", n);
  const lost = b.local("lost", 1);
  const axis = u.shape.length - 1;
  const wide = n % 4 === 0 && low.tryWide(u, u.shape.map(() => int(0)), axis) !== undefined;
  const unit = wide ? 4 : 1;

  low.par("j", int(n), (j) => low.store(row, j, low.at(w, [...lead, j])));
  low.loop("i", int(0), int(n), 1, (i) => {
    low.par("one", int(1), () => {
      const [s, m] = [scale, min].map((t) => low.named("grid", low.at(t, [...lead, i])));
      const x = low.named("x", load(row, i));
      const flat = bin("eq", s, num(0));
      const steps = bin("div", bin("sub", x, m), select(flat, num(1), s));
      const whole = un("rint", select(flat, num(0), steps));
      const code = low.named(
        "code",
        bin("min", bin("max", whole, num(0)), low.at(top, [...lead, i])),
      );
      const diagonal = low.named("diagonal", low.at(u, [...batch, i, i]));
      const none = bin("eq", diagonal, num(0));
      const off = bin("sub", x, bin("add", bin("mul", s, code), m));
      const e = low.named(
        "e",
        select(none, num(0), bin("div", off, select(none, num(1), diagonal))),
      );
      low.store(lost, int(0), e);
      const at = bin("add", bin("mul", group, int(n)), i);
      for (const [project, arr] of outs) low.store(arr, at, project === "codes" ? code : e);
    });
    const first = bin("div", bin("add", i, int(1)), int(unit));
    const e = low.named("e", load(lost, int(0)));
    low.par("j", bin("sub", int(n / unit), first), (k) => {
      const j = bin("mul", bin("add", first, k), int(unit));
      const place = [...batch, i, j];
      const step = wide ? low.wide(u, place, axis) : low.at(u, place);
      low.store(row, j, bin("sub", load(row, j, wide), bin("mul", step, e)));
    });
  });
  return [b.finish(context.name, "routine", (s) => countOf(rows, s))];
};
