/**
 * `reduce`: a fold over axes whose size is known only at run time. A lane makes one result, or four
 * neighbours where they lie side by side in memory, walking the folded axes in order.
 *
 * ```text
 * for each unit of results: acc = identity; for t … : acc = acc ⊕ element(t); store(acc)
 * ```
 * @module
 */
import { countOf } from "../dsl/core/shape.ts";
import type { Dim, Term } from "../dsl/core/term.ts";
import { bin, type Expr, int, num, un, variable } from "../compiler/ir/expr.ts";
import { GROUP } from "../compiler/ir/stmt.ts";
import { Builder, type Skeleton, unravel } from "../compiler/kernel.ts";

const UNITS = 64;
const LOWEST = -3.4028234663852886e38;

const MONOIDS: Readonly<Record<string, { first: number; join: "add" | "max" | "min" }>> = {
  sum: { first: 0, join: "add" },
  max: { first: LOWEST, join: "max" },
  hi: { first: LOWEST, join: "max" },
  lo: { first: -LOWEST, join: "min" },
};

/** The skeleton. */
export const reduceSkeleton: Skeleton = (plan, context) => {
  const [root] = plan.roots;
  if (root.tag !== "fold") throw new Error(`reduce cannot make ${root.tag}`);
  const { first, join } = MONOIDS[root.project];
  const b = new Builder(context);
  const { low } = b;
  const [arg] = root.args;
  b.read([arg]);
  const out = b.write(root);
  const axis = root.labels.args[0];
  const dim = (l: string): Dim => arg.shape[axis.indexOf(l)];
  const gone = axis.filter((l) => !root.labels.out.includes(l));
  const last = root.shape[root.shape.length - 1];
  const lane = axis.indexOf(root.labels.out[root.labels.out.length - 1] ?? "");
  const probe = arg.shape.map(() => int(0));
  const wide = typeof last === "number" && last % 4 === 0 &&
    low.tryWide(arg, probe, lane) !== undefined;
  const unit = wide ? 4 : 1;
  const units = (t: Pick<Term, "shape">): Expr => bin("div", b.count(t.shape), int(unit));
  const start = bin("mul", variable(GROUP, "i32", { lo: 0 }), int(UNITS));
  low.par("u", bin("min", int(UNITS), bin("sub", units(root), start)), (u) => {
    const at = bin("mul", bin("add", start, u), int(unit));
    const index = unravel(at, low.dims(root.shape));
    const zero = num(first);
    const acc = low.mutable("acc", wide ? un("splat", zero) : zero);
    const walk = (labels: readonly string[], bound: ReadonlyMap<string, Expr>): void => {
      if (labels.length > 0) {
        low.loop(
          "t",
          int(0),
          b.size(dim(labels[0])),
          1,
          (i) => walk(labels.slice(1), new Map([...bound, [labels[0], i]])),
        );
        return;
      }
      const place = axis.map((l) => bound.get(l) ?? index[root.labels.out.indexOf(l)]);
      const element = wide ? low.wide(arg, place, lane) : low.at(arg, place);
      acc.set(bin(join, acc.get(), element));
    };
    walk(gone, new Map());
    low.store(out, at, acc.get());
  });
  return [
    b.finish(
      context.name,
      "reduce",
      (sizes) => Math.ceil(countOf(root.shape, sizes) / unit / UNITS),
    ),
  ];
};
