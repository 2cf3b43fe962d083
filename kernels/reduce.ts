/**
 * `reduce`: folds over axes whose size is known only at run time. A lane makes a run of neighbouring
 * results, four at a time where they lie side by side in memory, walking the folded axes in order; folds
 * of the same values share the walk.
 *
 * ```text
 * for each run of results: accs = identity; for t … : accs = accs ⊕ elements(t); store(accs)
 * few results:             the same for each part of the tokens; then result = ⊕ parts
 * ```
 * Where results do not lie side by side but what is folded does, lanes run along that; along an axis whose size
 * is known only at run time up to its last whole four, and one by one from there.
 * @module
 */
import { countOf, isDynamic, knownCount, sizeOf } from "../dsl/core/shape.ts";
import type { Dim, Term, TermOf } from "../dsl/core/term.ts";
import { bin, type Expr, int, num, un, variable } from "../compiler/ir/expr.ts";
import { eachElement } from "../compiler/lower/box.ts";
import { GROUP, type Size } from "../compiler/ir/stmt.ts";
import { Builder, type Context, leavesOf, type Skeleton, unravel } from "../compiler/kernel.ts";
import { type Join, joinParts, type Parts } from "./parts.ts";

/** Results of one group, about. */
const RESULTS = 256;
/** Numbers that one group folds where results are few: enough for a lane of a CPU, or of a GPU. */
const [ALONE, SHARED] = [2 ** 16, 2 ** 12];
/** More results are groups enough. */
const FEW = 4096;
/** Accumulators that registers hold. */
const ACCUMULATORS = 16;
const LOWEST = -3.4028234663852886e38;

/** What a fold begins with, and how it takes one more, by its projection. */
export const MONOIDS: Readonly<Record<string, Join>> = {
  sum: { first: 0, join: "add" },
  max: { first: LOWEST, join: "max" },
  hi: { first: LOWEST, join: "max" },
  lo: { first: -LOWEST, join: "min" },
};

/** Fours of neighbouring results that one lane makes: as many as divide the last axis and fit. */
const foursOf = (last: number, folds: number): number =>
  [16, 8, 4, 2].find((n) => last % (4 * n) === 0 && n * folds <= ACCUMULATORS) ?? 1;

/** The four lanes of a fold, joined. */
export const acrossLanes = (join: "add" | "max" | "min", four: Expr): Expr =>
  un(({ add: "hsum", max: "hmax", min: "hmin" } as const)[join], four);

/** How many tokens are a part of what few results fold, or nothing where they are not read or results are many. */
const partOf = (
  root: Term & TermOf<"fold">,
  inner: readonly Dim[],
  { materialized, target }: Context,
): number | undefined => {
  if (isDynamic(root.shape) || knownCount(root.shape) > FEW) return undefined;
  if (leavesOf(root.args, materialized).length === 0) return undefined;
  const each = knownCount(inner) * Math.min(knownCount(root.shape), RESULTS);
  const most = target.serial ? ALONE : SHARED;
  return 4 * Math.max(1, Math.round(most / each / 4));
};

/** The skeleton. */
export const reduceSkeleton: Skeleton = (plan, context) => {
  const roots = plan.roots as readonly (Term & TermOf<"fold">)[];
  const [root] = roots;
  if (root.tag !== "fold") throw new Error(`reduce cannot make ${plan.roots[0].tag}`);
  const monoids = roots.map((r) => MONOIDS[r.project]);
  const b = new Builder(context);
  const { low } = b;
  const [arg] = root.args;
  b.read([arg]);
  const axis = root.labels.args[0];
  const dim = (l: string): Dim => arg.shape[axis.indexOf(l)];
  const gone = axis.filter((l) => !root.labels.out.includes(l));
  const last = root.shape[root.shape.length - 1];
  const lane = axis.indexOf(root.labels.out[root.labels.out.length - 1] ?? "");
  const probe = arg.shape.map(() => int(0));
  const wide = typeof last === "number" && last % 4 === 0 &&
    low.tryWide(arg, probe, lane) !== undefined;
  // The last of the folded axes, four at a time, in two chains.
  const inner = gone.filter((l) => typeof dim(l) === "number");
  const along = axis.indexOf(inner[inner.length - 1] ?? "");
  const lanes = !wide && along >= 0 && (arg.shape[along] as number) % 4 === 0 &&
    low.tryWide(arg, probe, along) !== undefined;
  const named = gone.filter((l) => !inner.includes(l));
  const each = named.length === 0 ? undefined : partOf(root, inner.map(dim), context);
  const tokens = dim(named[0] ?? gone[0]);
  const parts: Parts | undefined = each === undefined ? undefined : {
    name: `${context.name}_parts`,
    count: (s) => Math.max(1, Math.ceil(sizeOf(tokens, s) / each)),
    words: knownCount(root.shape),
    tokens,
    each,
  };
  const outs = parts === undefined
    ? roots.map((r) => b.write(r))
    : roots.map((_, m) =>
      b.scratch(`${parts.name}${m}`, (s) => parts.count(s) * parts.words, true)
    );
  const run = named[named.length - 1];
  low.loose = true;
  const running = context.target.serial && !wide && inner.length === 0 && run !== undefined &&
    low.tryWide(arg, probe, axis.indexOf(run)) !== undefined;
  low.loose = false;
  const fours = wide ? foursOf(last, roots.length) : 1;
  const unit = wide ? 4 * fours : 1;
  const units = Math.max(1, Math.floor(RESULTS / unit));
  const all = bin("div", b.count(root.shape), int(unit));
  const group = variable(GROUP, "i32", { lo: 0 });
  const blocks = parts === undefined ? undefined : int(Math.ceil(parts.words / unit / units));
  const part = blocks === undefined ? int(0) : bin("div", group, blocks);
  const block = blocks === undefined ? group : bin("rem", group, blocks);
  const start = bin("mul", block, int(units));
  const base = parts === undefined ? int(0) : bin("mul", part, int(parts.words));
  /** The tokens of a group. */
  const ends = (label: string): readonly [Expr, Expr] => {
    const size = b.size(dim(label));
    if (parts === undefined || label !== named[0]) return [int(0), size];
    const first = bin("mul", part, int(parts.each));
    return [first, bin("min", bin("add", first, int(parts.each)), size)];
  };
  low.par("u", bin("min", int(units), bin("sub", all, start)), (u) => {
    const own = bin("mul", bin("add", start, u), int(unit));
    const at = bin("add", base, own);
    const index = unravel(own, low.dims(root.shape));
    const accs = monoids.map(({ first }) =>
      Array.from(
        { length: lanes ? 2 : fours },
        () => low.mutable("acc", wide || lanes ? un("splat", num(first)) : num(first)),
      )
    );
    const addLanes = (bound: ReadonlyMap<string, Expr>): void =>
      eachElement(low, inner.map((l) => dim(l) as number), (box) => {
        const place = axis.map((l) =>
          bound.get(l) ?? box[inner.indexOf(l)] ?? index[root.labels.out.indexOf(l)]
        );
        return low.wide(arg, place, along);
      }, (element, turn) =>
        monoids.forEach(({ join }, m) => {
          const acc = accs[m][turn % 2];
          acc.set(bin(join, acc.get(), element));
        }));
    const add = (bound: ReadonlyMap<string, Expr>): void => {
      for (let k = 0; k < fours; k++) {
        const place = axis.map((l, a) => {
          const own = bound.get(l) ?? index[root.labels.out.indexOf(l)];
          return a === lane ? bin("add", own, int(4 * k)) : own;
        });
        const element = wide ? low.wide(arg, place, lane) : low.at(arg, place);
        monoids.forEach(({ join }, m) => accs[m][k].set(bin(join, accs[m][k].get(), element)));
      }
    };
    const placeOf = (bound: ReadonlyMap<string, Expr>): Expr[] =>
      axis.map((l) => bound.get(l) ?? index[root.labels.out.indexOf(l)]);
    const lanesOf = running
      ? monoids.map(({ first }) => low.mutable("lanes", un("splat", num(first))))
      : [];
    /** Along the last axis, four at a time and then the rest of them. */
    const addRun = (bound: ReadonlyMap<string, Expr>): void => {
      const [from, size] = ends(run);
      const whole = bin("mul", bin("div", size, int(4)), int(4));
      low.loop("t", from, whole, 4, (i) => {
        low.loose = true;
        const four = low.wide(arg, placeOf(new Map([...bound, [run, i]])), axis.indexOf(run));
        low.loose = false;
        monoids.forEach(({ join }, m) => lanesOf[m].set(bin(join, lanesOf[m].get(), four)));
      });
      low.loop("t", whole, size, 1, (i) => add(new Map([...bound, [run, i]])));
    };
    const walk = (labels: readonly string[], bound: ReadonlyMap<string, Expr>): void => {
      if (labels.length === 0) return lanes ? addLanes(bound) : add(bound);
      const [label, ...rest] = labels;
      if (running && rest.length === 0) return addRun(bound);
      const [from, to] = ends(label);
      low.loop("t", from, to, 1, (i) => walk(rest, new Map([...bound, [label, i]])));
    };
    if (lanes) walk(named, new Map());
    else walk(parts === undefined ? gone : [...named, ...inner], new Map());
    accs.forEach((row, m) => {
      const { join } = monoids[m];
      if (lanes) {
        const all = bin(join, row[0].get(), row[1].get());
        low.store(outs[m], at, acrossLanes(join, all));
      } else if (running) {
        low.store(outs[m], at, bin(join, acrossLanes(join, lanesOf[m].get()), row[0].get()));
      } else row.forEach((acc, k) => low.store(outs[m], bin("add", at, int(4 * k)), acc.get()));
    });
  });
  const groups: Size = (sizes) => Math.ceil(countOf(root.shape, sizes) / unit / units);
  if (parts === undefined) return [b.finish(context.name, "reduce", groups)];
  const step = b.finish(context.name, "reduce", (s) => parts.count(s) * groups(s));
  return [step, joinParts(roots, monoids, parts, context)];
};
