/**
 * Plans among themselves: what each reads, which may be joined, and an order that can run.
 * @module
 */
import { argsOf, type Term, type TermOf } from "../dsl/core/term.ts";
import { leavesOf, type Plan } from "./kernel.ts";
import { countOf, shareScores, streamRoles } from "./lower/roles.ts";
import { scaledBy } from "./lower/tall.ts";

type Fold = Term & TermOf<"fold">;

/** Stored terms that a plan reads, those of its streaming folds included. */
const readBy = ({ roots, staged }: Plan, stored: ReadonlySet<Term>): Term[] =>
  leavesOf([...roots, ...staged].flatMap((t) => argsOf(t)), stored);

/** Is `other` reached from a plan, step by step? */
const reaches = (
  plan: Plan,
  other: Plan,
  below: (plan: Plan) => readonly (Plan | undefined)[],
): boolean => {
  const seen = new Set<Plan>();
  const visit = (p: Plan): boolean => {
    seen.add(p);
    return below(p).some((maker) =>
      maker !== undefined && (maker === other || (!seen.has(maker) && visit(maker)))
    );
  };
  return visit(plan);
};

/** Does a plan read what another makes, directly or by way of others? */
export const dependsOn = (
  plan: Plan,
  other: Plan,
  makers: ReadonlyMap<Term, Plan>,
  stored: ReadonlySet<Term>,
): boolean => reaches(plan, other, (p) => readBy(p, stored).map((t) => makers.get(t)));

/** The plans that must run before a plan: those of stored terms it reads and of folds it merges. */
const makersBelow = (
  plans: readonly Plan[],
  stored: ReadonlySet<Term>,
): (plan: Plan) => (Plan | undefined)[] => {
  const makers = new Map<Term, Plan>();
  const streams = new Map<Term, Plan>();
  plans.forEach((p) =>
    p.roots.forEach((r) => (p.skeleton === "stream" ? streams : makers).set(r, p))
  );
  return (plan) => [
    ...plan.staged.map((t) => streams.get(t)),
    ...readBy(plan, stored).map((t) => makers.get(t)),
  ];
};

/** Are two terms results of one walk: of one routine, or of folds of the same values to the same axes? */
const walkTogether = (a: Term, b: Term): boolean => {
  if (a.tag === "routine" && b.tag === "routine") {
    return a.routine === b.routine && a.args.every((arg, i) => arg === b.args[i]);
  }
  return a.tag === "fold" && b.tag === "fold" && a.args[0] === b.args[0] &&
    JSON.stringify(a.labels) === JSON.stringify(b.labels);
};

/** Joins plans of routines and reductions that walk the same argument. */
export const joinWalks = (plans: readonly Plan[]): Plan[] => {
  const out: Plan[] = [];
  for (const plan of plans) {
    const same = out.findIndex((p) =>
      p.skeleton === plan.skeleton && (p.skeleton === "routine" || p.skeleton === "reduce") &&
      walkTogether(p.roots[0], plan.roots[0])
    );
    if (same >= 0) out[same] = { ...out[same], roots: [...out[same].roots, ...plan.roots] };
    else out.push(plan);
  }
  return out;
};

/**
 * Joins a product of rows with themselves to the largest magnitude that scales them, on a device that walks rows one
 * by one: they are read once.
 */
export const joinScales = (plans: readonly Plan[], stored: ReadonlySet<Term>): Plan[] => {
  const out = [...plans];
  for (const plan of plans) {
    if (plan.skeleton !== "contract" || plan.roots.length > 1) continue;
    const [product] = plan.roots;
    const top = out.find((p) =>
      p.skeleton === "reduce" && p.roots.length === 1 && scaledBy(product, p.roots[0], stored)
    );
    if (top === undefined) continue;
    out.splice(out.indexOf(top), 1);
    out[out.indexOf(plan)] = { ...plan, roots: [product, ...top.roots] };
  }
  return out;
};

/** Sums a row that a streaming plan adds up. */
const channelsOf = ({ roots }: Plan): number =>
  streamRoles(roots as readonly Fold[]).members
    .reduce((n, m) => n + countOf(m, m.channels), 0);

/** Tokens of a chunk beside which what is done once a chunk is less than the same scores a second time. */
const LONG = 64;

/**
 * Does a joined plan hold what both held, and take a block of queries, or chunks at least half as
 * long as those of the larger one, or long enough?
 */
const asGood = (joined: Plan, apart: readonly [Plan, Plan]): boolean => {
  const [a, b] = apart;
  const larger = channelsOf(b) > channelsOf(a) ? b : a;
  return (joined.block !== undefined || joined.tile >= Math.min(larger.tile / 2, LONG)) &&
    // What only a block of queries holds, a plan without one has no use for.
    apart.every((p) =>
      (p.block !== undefined && joined.block === undefined) ||
      (p.staged.every((t) => joined.axes.has(t)) &&
        [...p.moving.keys()].every((t) => joined.moving.has(t)))
    );
};

/**
 * Joins streaming folds over the same scores: those are computed once. Plans of which one needs the
 * other, by way of `rest` too, stay apart. `make` gives the plan of several folds.
 */
export const joinStreams = (
  streams: readonly Plan[],
  rest: readonly Plan[],
  stored: ReadonlySet<Term>,
  make: (folds: readonly Term[]) => Plan,
): Plan[] => {
  const out: Plan[] = [];
  streams.forEach((plan, i) => {
    const below = makersBelow([...out, ...streams.slice(i), ...rest], stored);
    for (const [k, old] of out.entries()) {
      if (
        !shareScores(old.roots[0] as Fold, plan.roots[0] as Fold) ||
        reaches(old, plan, below) || reaches(plan, old, below)
      ) continue;
      const joined = make([...old.roots, ...plan.roots]);
      if (!asGood(joined, [old, plan])) continue;
      out[k] = joined;
      return;
    }
    out.push(plan);
  });
  return out;
};

/** Plans in an order that can run. */
export const ordered = (plans: readonly Plan[], stored: ReadonlySet<Term>): Plan[] => {
  const below = makersBelow(plans, stored);
  const done = new Set<Plan>();
  const out: Plan[] = [];
  const visit = (plan: Plan): void => {
    if (done.has(plan)) return;
    done.add(plan);
    below(plan).forEach((maker) => maker !== undefined && maker !== plan && visit(maker));
    out.push(plan);
  };
  plans.forEach(visit);
  return out;
};
