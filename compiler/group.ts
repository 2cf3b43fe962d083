/**
 * From terms to plans of kernels: which terms are stored, and which are computed where they are used.
 *
 * Before: a DAG of terms with marked outputs; after: plans in an order that can run, each made by one
 * skeleton. Folds and products of known small size stay inside the kernel that uses them (`staged`);
 * those over a dynamic size, large products and routines are stored.
 * @module
 */
import { permute } from "../dsl/core/build.ts";
import { codesIn } from "../dsl/core/dtype.ts";
import { isDynamic, knownCount } from "../dsl/core/shape.ts";
import type { Term } from "../dsl/core/term.ts";
import { argsOf } from "../dsl/core/term.ts";
import { CompileError } from "./errors.ts";
import {
  floatsOf,
  type Fold,
  goneDims,
  heavyIn,
  isBig,
  LONG_PRODUCT,
  mustStore,
  type Product,
} from "./heavy.ts";
import { leavesOf, type Plan, type Schedule, type Target } from "./kernel.ts";
import { tallOf } from "./lower/tall.ts";
import { constantSource } from "./lower/memory.ts";
import { analyseRow, type HeldAxes, rowsFirst } from "./lower/row.ts";
import { streamRefusal } from "./lower/roles.ts";
import { dependsOn, joinScales, joinStreams, joinWalks, ordered } from "./order.ts";
import { freshExprs, int, uniform, variable } from "./ir/expr.ts";
import { readOnce } from "./read_once.ts";
import { costly, isHeavy, isStream, madeAgain, withRepeated } from "./repeated.ts";
import { scoreProducts, streamPlan } from "./stream_plan.ts";
import { Lower } from "./lower/at.ts";

/** Folds and products that one kernel makes: its text grows with each, and so do the locals of a WebAssembly function. */
const MOST_HEAVY = 12;

type Decision = { readonly need: readonly Term[] } | { readonly plans: readonly Plan[] };

const plain = (skeleton: Plan["skeleton"], roots: readonly Term[]): Plan => ({
  skeleton,
  roots,
  staged: [],
  rowAxes: 0,
  tile: 0,
  axes: new Map(),
  moving: new Map(),
});

const coversRow = (root: Term, axes: ReadonlyMap<Term, HeldAxes>, rowAxes: number): boolean =>
  [...axes.values()].every(({ rowOf }) =>
    Array.from({ length: rowAxes }, (_, a) => a).every((a) =>
      rowOf.includes(a) || root.shape[a] === 1
    )
  );

const innerKnown = (root: Term, rowAxes: number): boolean => !isDynamic(root.shape.slice(rowAxes));

/** A root with the axis of its rows first, where whole words of it lie so in another order. */
const turned = (root: Term): Term => {
  const order = rowsFirst(root.shape);
  const last = root.shape[root.shape.length - 1];
  if (order === undefined || (root.dtype === "f16" && last as number % 2 === 1)) return root;
  return permute(root, order);
};

/** A row plan for roots that share staged terms, or nothing. */
const rowPlan = (
  roots: readonly Term[],
  staged: readonly Term[],
  stored: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): Plan | undefined => {
  const own = roots.map(turned);
  const moved = own.some((t, i) => t !== roots[i]);
  return rowsOf(roots, roots, staged, stored, schedule, target) ??
    (moved ? rowsOf(roots, own, staged, stored, schedule, target) : undefined);
};

/** A row plan for roots that are made so. */
const rowsOf = (
  roots: readonly Term[],
  made: readonly Term[],
  staged: readonly Term[],
  stored: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): Plan | undefined => {
  const rank = Math.max(...made.map((r) => r.shape.length));
  const candidates = [
    ...Array.from({ length: Math.max(rank - 1, 0) }, (_, i) => rank - 1 - i),
    rank,
    0,
  ];
  const streams = staged.filter(isStream);
  const leaves = leavesOf(
    made.filter((r) => !streams.includes(r as Fold)),
    new Set([...stored, ...streams]),
  );
  const inner = staged.flatMap((t) => isStream(t) ? [] : leavesOf(argsOf(t), stored));
  for (const rowAxes of candidates) {
    if (made.some((r) => r.shape.length < rowAxes || !innerKnown(r, rowAxes))) continue;
    // Codes are stored a row at a time: the last axis stays inside.
    const inRows = (r: Term): boolean => codesIn(r.dtype) !== undefined && r.shape.length > 0;
    if (made.some((r) => inRows(r) && r.shape.length === rowAxes)) continue;
    const prefix = made[0].shape.slice(0, rowAxes).join();
    if (made.some((r) => r.shape.slice(0, rowAxes).join() !== prefix)) continue;
    const axes = analyseRow(made, staged, rowAxes, [...new Set([...leaves, ...inner])]);
    if (axes === undefined || axes.size < staged.length || !coversRow(made[0], axes, rowAxes)) {
      continue;
    }
    // As many rows as group memory holds; an even number, so that halves fill words.
    const tile = [schedule.rows, 4, 2].find((n) =>
      n <= schedule.rows && floatsOf(axes) * n <= target.groupFloats
    );
    if (tile !== undefined) {
      return {
        skeleton: "encode",
        roots,
        made,
        staged,
        rowAxes,
        tile,
        axes,
        moving: new Map(),
      };
    }
  }
  return undefined;
};

/** Does the root read the product at its own index, axis for axis? */
const sameIndex = (root: Term, product: Term, stored: ReadonlySet<Term>): boolean => {
  freshExprs();
  if (root.shape.join() !== product.shape.join()) return false;
  const low = new Lower((d) => typeof d === "number" ? int(d) : uniform(d));
  const index = root.shape.map((d, a) =>
    variable(`i${a}`, "i32", { lo: 0, hi: typeof d === "number" ? d - 1 : Infinity })
  );
  let same = true;
  leavesOf([root], stored).forEach((t) => low.sources.set(t, constantSource(int(0))));
  low.sources.set(product, {
    at: (i) => {
      same &&= i.every((e, a) => e === index[a]);
      return int(0);
    },
    wide: () => undefined,
  });
  low.at(root, index);
  return same;
};

const decide = (
  root: Term,
  stored: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): Decision => {
  const inside = heavyIn([root], stored);
  const big = isBig(target);
  if (root.tag === "routine") {
    // Several operands, as grids spread along columns, are read through views.
    const inMemory = (t: Term): boolean => t.tag === "input" || stored.has(t);
    const need = root.args.filter((t) => root.args.length > 1 ? costly(t, stored) : !inMemory(t));
    return need.length > 0 ? { need } : { plans: [plain("routine", [root])] };
  }
  const needed = inside.filter((t) => t !== root && mustStore(t));
  if (needed.length > 0) return { need: needed };
  // A product that has to be in memory, of operands that are: a row of it is as long as tokens are many.
  if (
    root.tag === "contract" && isDynamic(root.shape) && !root.args.some((a) => costly(a, stored)) &&
    knownCount(goneDims(root as Product)) >= LONG_PRODUCT
  ) return { plans: [plain("contract", [root])] };
  if (tallOf(root) !== undefined) {
    const heavy = inside.filter((t) => t !== root);
    return heavy.length > 0 ? { need: heavy } : { plans: [plain("contract", [root])] };
  }
  if (big(root)) {
    const slow = root.args.filter((a, i) => costly(a, stored) && !readOnce(root, i, stored));
    return slow.length > 0 ? { need: slow } : { plans: [plain("contract", [root])] };
  }
  if (root.tag === "fold" && !isStream(root) && isDynamic(goneDims(root as Fold))) {
    const heavy = inside.filter((t) => t !== root);
    return heavy.length > 0 ? { need: heavy } : { plans: [plain("reduce", [root])] };
  }
  const products = inside.filter(big);
  if (products.length > 0) {
    const [product] = products;
    const fits = products.length === 1 && inside.length === 1 && root.dtype === "f32" &&
      !product.args.some((a) => costly(a, stored)) && sameIndex(root, product, stored);
    return fits
      ? { plans: [{ ...plain("contract", [root]), staged: [product] }] }
      : { need: products };
  }
  for (const stream of inside.filter(isStream)) {
    const refused = streamRefusal(stream);
    if (refused !== undefined) throw new CompileError("group", `fold softmax ${refused}`);
    const heavy = heavyIn(stream.args, stored);
    const first = heavy.filter((t) => mustStore(t) || isStream(t));
    if (first.length > 0) return { need: first };
    const large = heavy.filter(big);
    if (large.length > 0) {
      const own = scoreProducts(stream as Fold, stored, target);
      const apart = large.filter((t) => !own.has(t));
      if (apart.length > 0) return { need: apart };
    }
  }
  if (inside.length === 0) return { plans: [plain("map", [root])] };
  const many = inside.filter((t) => t !== root && !isStream(t));
  if (many.length > MOST_HEAVY) return { need: many };
  const again = madeAgain(root, stored);
  if (again.length > 0) return { need: again };
  const row = rowPlan([root], withRepeated(root, inside, stored), stored, schedule, target) ??
    rowPlan([root], inside, stored, schedule, target);
  if (row !== undefined) {
    return {
      plans: [
        ...inside.filter(isStream).map((t) => streamPlan([t], stored, schedule, target)),
        row,
      ],
    };
  }
  const rest = inside.filter((t) => t !== root);
  if (rest.length > 0) return { need: rest };
  throw new CompileError("group", `${root.tag} of ${JSON.stringify(root.shape)} fits no skeleton`);
};

/**
 * Joins row plans that share staged terms, so that one pass stores codes, scales and minima. Plans of
 * which one needs the other stay apart: a Gram matrix and what is multiplied by its eigenvectors.
 */
const joinRows = (
  plans: readonly Plan[],
  stored: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): Plan[] => {
  const out: Plan[] = [];
  const makers = new Map(plans.flatMap((p) => p.roots.map((r): [Term, Plan] => [r, p])));
  for (const plan of plans) {
    const at = out.findIndex((p) =>
      p.skeleton === "encode" && plan.skeleton === "encode" &&
      p.staged.some((t) => plan.staged.includes(t)) &&
      !dependsOn(p, plan, makers, stored) && !dependsOn(plan, p, makers, stored)
    );
    const old = out[at];
    const joined = old && rowPlan(
      [...old.roots, ...plan.roots],
      [...new Set([...old.staged, ...plan.staged])].sort((a, b) => a.id - b.id),
      stored,
      schedule,
      target,
    );
    if (joined) {
      out[at] = joined;
      joined.roots.forEach((r) => makers.set(r, joined));
    } else out.push(plan);
  }
  return out;
};

/** Plans for the outputs of a program. */
export const group = (
  outputs: readonly Term[],
  held: ReadonlySet<Term>,
  schedule: Schedule,
  target: Target,
): { plans: Plan[]; stored: Set<Term> } => {
  const roots = [...new Set(outputs)];
  const stored = new Set<Term>([...held, ...roots.filter((t) => isHeavy(t) && !isStream(t))]);
  const decided = new Map<Term, readonly Plan[]>();
  for (let changed = true; changed;) {
    changed = false;
    decided.clear();
    for (const root of new Set([...roots, ...stored])) {
      if (root.tag === "input" && stored.has(root)) stored.delete(root);
      const others = new Set([...stored].filter((t) => t !== root));
      const decision = decide(root, others, schedule, target);
      if ("plans" in decision) {
        decided.set(root, decision.plans);
        continue;
      }
      const fresh = decision.need.filter((t) => !stored.has(t));
      if (fresh.length === 0) throw new Error(`group asks again for what is stored by ${root.tag}`);
      fresh.forEach((t) => stored.add(t));
      changed = true;
      break;
    }
  }
  const all = [...new Set([...decided.values()].flat())];
  const streams = new Map<Term, Plan>();
  all.forEach((p) => p.skeleton === "stream" && streams.set(p.roots[0], p));
  const walks = joinWalks(
    joinRows(all.filter((p) => p.skeleton !== "stream"), stored, schedule, target),
  );
  const rest = target.serial ? joinScales(walks, stored) : walks;
  const joined = joinStreams(
    [...streams.values()],
    rest,
    stored,
    (folds) => streamPlan(folds as readonly Fold[], stored, schedule, target),
  );
  return { plans: ordered([...joined, ...rest], stored), stored };
};
