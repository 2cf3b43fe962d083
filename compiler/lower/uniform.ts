/**
 * Loops that hold barriers must go round alike for all lanes of a group. Where their ends hang on group
 * memory, the compilers of WGSL ask that it is read so that this is plain to see.
 *
 * ```text
 * live = f(held[0]); for (i = 0; i < live) { par … }
 *   ──▶ live = f(workgroupUniformLoad(&held[0])); for (i = 0; i < live) { par … }
 * ```
 * The load is marked in the end itself and in every variable that the end hangs on.
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

const variablesOf = (e: Expr): readonly string[] =>
  e.op === "var" ? [e.name] : e.args.flatMap(variablesOf);

/** All statements outside loops of lanes. */
const together = (block: Block): readonly Stmt[] =>
  block.flatMap((s) => s.tag !== "par" && "body" in s ? [s, ...together(s.body)] : [s]);

/** Variables that the ends of loops with barriers hang on, by way of others too. */
const endsHangOn = (block: Block): ReadonlySet<string> => {
  const all = together(block);
  const found = new Set<string>();
  const add = (e: Expr): void =>
    variablesOf(e).forEach((name) => {
      if (found.has(name)) return;
      found.add(name);
      all.forEach((s) =>
        (s.tag === "var" || s.tag === "assign") && s.name === name && add(s.value)
      );
    });
  all.forEach((s) => s.tag === "for" && hasLanes(s.body) && [s.from, s.to].forEach(add));
  return found;
};

const marked = (block: Block, shared: ReadonlySet<string>): Block =>
  block.map((s): Stmt => {
    if ((s.tag === "var" || s.tag === "assign") && shared.has(s.name)) {
      return { ...s, value: alike(s.value) };
    }
    if (s.tag === "par" || !("body" in s)) return s;
    const body = marked(s.body, shared);
    return s.tag === "for" && hasLanes(body)
      ? { ...s, from: alike(s.from), to: alike(s.to), body }
      : { ...s, body };
  });

/** Marks what the ends of loops with barriers read; runs while the kernel's nodes are. */
export const uniformEnds = (block: Block): Block => marked(block, endsHangOn(block));
