/**
 * Loops that hold barriers must go round alike for all lanes of a group. Where their ends hang on group
 * memory, the compilers of WGSL ask that it is read so that this is plain to see.
 *
 * Before: `for (live = 0; live < f(held[0])) { par … }`; after, the load is marked `shared by all lanes`
 * and printed as `workgroupUniformLoad(&held[0])`.
 * @module
 */
import { type Expr, node, rebuilt } from "../ir/expr.ts";
import type { Block, Stmt } from "../ir/stmt.ts";

/** The number that a load of one value for all lanes carries. */
export const ALIKE = 1;

const hasLanes = (block: Block): boolean =>
  block.some((s) => s.tag === "par" || ("body" in s && hasLanes(s.body)));

const alike = (e: Expr): Expr => {
  const args = e.args.map(alike);
  return e.op === "load" && e.arr!.space === "shared"
    ? node("load", e.type, args, { arr: e.arr!, value: ALIKE })
    : rebuilt(e, args);
};

/** Marks what the ends of loops with barriers read; runs while the kernel's nodes are. */
export const uniformEnds = (block: Block): Block =>
  block.map((s): Stmt => {
    if (!("body" in s)) return s;
    const body = uniformEnds(s.body);
    return s.tag === "for" && hasLanes(body)
      ? { ...s, from: alike(s.from), to: alike(s.to), body }
      : { ...s, body };
  });
