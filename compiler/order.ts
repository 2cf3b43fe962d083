/**
 * Plans among themselves: what each reads, which may be joined, and an order that can run.
 * @module
 */
import { argsOf, type Term } from "../dsl/core/term.ts";
import { leavesOf, type Plan } from "./kernel.ts";

/** Stored terms that a plan reads, those of its streaming folds included. */
const readBy = ({ roots, staged }: Plan, stored: ReadonlySet<Term>): Term[] =>
  leavesOf([...roots, ...staged].flatMap((t) => argsOf(t)), stored);

/** Does a plan read what another makes, directly or by way of others? */
export const dependsOn = (
  plan: Plan,
  other: Plan,
  makers: ReadonlyMap<Term, Plan>,
  stored: ReadonlySet<Term>,
): boolean => {
  const seen = new Set<Plan>();
  const visit = (p: Plan): boolean => {
    seen.add(p);
    return readBy(p, stored).some((t) => {
      const maker = makers.get(t);
      return maker !== undefined && (maker === other || (!seen.has(maker) && visit(maker)));
    });
  };
  return visit(plan);
};

/** Joins the results of one routine on one argument. */
export const joinRoutines = (plans: readonly Plan[]): Plan[] => {
  const out: Plan[] = [];
  for (const plan of plans) {
    const same = out.findIndex((p) => {
      const [a, b] = [p.roots[0], plan.roots[0]];
      return a.tag === "routine" && b.tag === "routine" && a.routine === b.routine &&
        a.args[0] === b.args[0];
    });
    if (same >= 0 && plan.skeleton === "routine") {
      out[same] = { ...out[same], roots: [...out[same].roots, ...plan.roots] };
    } else out.push(plan);
  }
  return out;
};

/** Plans in an order that can run. */
export const ordered = (plans: readonly Plan[], stored: ReadonlySet<Term>): Plan[] => {
  const makers = new Map<Term, Plan>();
  const streams = new Map<Term, Plan>();
  plans.forEach((p) =>
    p.roots.forEach((r) => (p.skeleton === "stream" ? streams : makers).set(r, p))
  );
  const done = new Set<Plan>();
  const out: Plan[] = [];
  const visit = (plan: Plan): void => {
    if (done.has(plan)) return;
    done.add(plan);
    const makersBelow = [
      ...plan.staged.map((t) => streams.get(t)),
      ...readBy(plan, stored).map((t) => makers.get(t)),
    ];
    makersBelow.forEach((maker) => maker !== undefined && maker !== plan && visit(maker));
    out.push(plan);
  };
  plans.forEach(visit);
  return out;
};
